"""Tools out of modules: which of a module's names are tools, where modules are found, and what a bad one gets."""

import sys
from pathlib import Path

import pytest

from voice_agent.config import ConfigError
from voice_agent.tools.modules import load_tools

TOOLS = '''
from voice_agent.tools.registry import tool
from voice_agent.tools.demo import get_time as clock

def plain(): ...

@tool()
async def {0}() -> str:
    """Do it."""
    return "{0}"

@tool(name="hidden")
async def _hidden() -> str:
    """Do it in secret."""
    return ""
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for modules that are forgotten at the end, as is that they were looked for in it."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return tmp_path


def test_public_tools_are_found_and_no_others(folder: Path) -> None:
    """In the order of the modules; one that two modules share comes once."""
    (folder / "mod_one.py").write_text(TOOLS.format("one"))
    (folder / "mod_two").mkdir()
    (folder / "mod_two" / "inner.py").write_text("from mod_one import one\n" + TOOLS.format("two"))
    assert [each.name for each in load_tools(("mod_one", "mod_two.inner"), str(folder))] == ["get_time", "one", "two"]


def test_a_file_in_the_folder_takes_nothing_s_place(folder: Path) -> None:
    """It is looked through last, and only if there is a module to look for."""
    (folder / "voice_agent").mkdir()
    (folder / "voice_agent" / "__init__.py").write_text("raise SystemExit")
    load_tools((), str(folder))
    assert str(folder) not in sys.path
    load_tools(("voice_agent.tools.demo",), str(folder))
    assert sys.path[-1] == str(folder)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "cannot be imported: ModuleNotFoundError: No module named 'mod_bad'"),
        ("x = 1", "holds no tool"),
        ("\nimport mod_missing", r"No module named 'mod_missing' \(.*mod_bad.py, line 2\)"),
        ("def f(:", r"SyntaxError: .* \(mod_bad.py, line 1\)"),
        ("raise SystemExit(3)", r"SystemExit: 3 \(.*mod_bad.py, line 1\)"),
        ("raise ValueError('one\\ntwo')", r"ValueError: one two \(.*mod_bad.py, line 1\)"),
        ("class Odd(Exception):\n  __str__ = None\nraise Odd", r"Odd: an unprintable Odd \(.*mod_bad.py, line 3\)"),
        ("assert False", r"AssertionError: no more is said \(.*mod_bad.py, line 1\)"),
        (TOOLS.replace("{0}()", "{0}(x)").format("no"), r"TypeError: mod_bad.no: .*'x'.* \(.*mod_bad.py, line 7\)"),
    ],
)
def test_a_module_that_is_no_good_is_one_clear_line(folder: Path, text: str | None, told: str) -> None:
    """It names the setting, the module, and the line of the user's own that is at fault."""
    if text is not None:
        (folder / "mod_bad.py").write_text(text)
    with pytest.raises(ConfigError, match=rf"^VOICE_TOOLS: module 'mod_bad' .*{told}") as fault:
        load_tools(("mod_bad",), str(folder))
    assert "\n" not in str(fault.value)
