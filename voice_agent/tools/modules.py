"""Tools out of Python modules that the user names: each public `@tool` of a module, wherever the module is found."""

import importlib
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from voice_agent.config import ConfigError
from voice_agent.tools.function import ToolFunction
from voice_agent.tools.outcome import printed

_SETTING = "VOICE_TOOLS"
_OURS = str(Path(__file__).parents[1])


def load_tools(modules: Iterable[str], folder: str) -> tuple[ToolFunction, ...]:
    """The tools of `modules`, in their order; one that two modules share comes once.

    Modules in `folder` are found too, after the installed ones, so that a file there never takes the place of one of
    ours; and so do the processes of isolated tools. Raises ConfigError naming the module, and what is wrong with it.
    """
    found: list[ToolFunction] = []
    for name in modules:
        if folder not in sys.path:
            sys.path.append(folder)
        tools = _tools_of(_imported(name))
        if not tools:
            raise ConfigError(f"{_SETTING}: module {name!r} holds no tool: a public function under `@tool(...)`")
        found += (each for each in tools if not any(each is other for other in found))
    return tuple(found)


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as fault:  # noqa: BLE001 - whatever the user's code does, the fault is the module's
        what = " ".join(printed(fault).split()) or "no more is said"
        raise ConfigError(
            f"{_SETTING}: module {name!r} cannot be imported: {type(fault).__name__}: {what}{_place(fault)}"
        ) from None


def _tools_of(module: ModuleType) -> list[ToolFunction]:
    return [each for name, each in vars(module).items() if isinstance(each, ToolFunction) and not name.startswith("_")]


def _place(fault: BaseException) -> str:
    """The line of the user's own at which the import stopped; nothing if it was not found to begin with."""
    if isinstance(fault, SyntaxError):
        return ""  # its words name the place
    frames = traceback.extract_tb(fault.__traceback__)
    own = [each for each in frames if "importlib" not in each.filename and not each.filename.startswith(_OURS)]
    return f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
