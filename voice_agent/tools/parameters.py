"""What a Python function says of itself, as a model is told of it: description, schema, and arguments checked."""

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.errors import PydanticUserError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import SchemaError

from voice_agent.agent import MISSING, Fault, faults_of
from voice_agent.prompt import UTTERANCE_FIELD
from voice_agent.tools.base import ToolContext

_SECTION = re.compile(r"(Args|Arguments|Returns|Yields|Raises|Examples?):\s*")
_PARAMETER = re.compile(r"\*{0,2}(\w+)\s*(?:\([^)]*\))?:\s*(.*)")
_MOST_FAULTS = 10


class ArgumentError(ValueError):
    """Arguments do not fit the schema; the message names each field and what is wrong with it."""


class _Untitled(GenerateJsonSchema):
    # A title repeats the field's name, and every token of a tool is sent with every request.
    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
        return False


class Parameters(msgspec.Struct, frozen=True):
    """A function's parameters. `fields` maps the model's fields to them; `contexts` names those for the ToolContext."""

    model: type[BaseModel]
    fields: dict[str, str]
    contexts: tuple[str, ...]

    def schema(self) -> dict[str, Any]:
        """The arguments as a JSON Schema of type object that allows no further properties."""
        schema = self.model.model_json_schema(schema_generator=_Untitled)
        del schema["title"]
        return {**schema, "properties": schema.get("properties", {})}

    def check(self, arguments: dict[str, Any]) -> str | None:
        """What is wrong with the arguments, naming the fields; None if nothing is."""
        try:
            self._validated(arguments)
        except ArgumentError as fault:
            return str(fault)
        return None

    def bind(self, arguments: dict[str, Any], context: ToolContext) -> dict[str, Any]:
        """The keyword arguments to call the function with. Raises ArgumentError."""
        given = self._validated(arguments)
        bound = {self.fields[name]: getattr(given, name) for name in given.model_fields_set}
        return bound | dict.fromkeys(self.contexts, context)

    def _validated(self, arguments: dict[str, Any]) -> BaseModel:
        """Read as JSON, where strictness still allows dates and enumerations to be written as text."""
        try:
            return self.model.model_validate_json(msgspec.json.encode(arguments), strict=True)
        except ValidationError as error:
            raise ArgumentError(in_one_line(faults_of(error.errors(include_url=False, include_input=False)))) from None
        except (Exception, SystemExit) as error:
            # A validator of the tool's author may raise anything, and this runs inside the turn.
            raise ArgumentError(f"arguments: they cannot be checked ({type(error).__name__})") from error


def in_one_line(faults: Sequence[Fault]) -> str:
    """What is wrong with arguments, in words for the model: the first faults and how many more there are.

    Where there are too many, fields that are just missing come last.
    """
    if len(faults) > _MOST_FAULTS:
        faults = sorted(faults, key=lambda fault: fault.message == MISSING)
    lines = [f"{fault.path.lstrip('/') or 'arguments'}: {fault.message}" for fault in faults[:_MOST_FAULTS]]
    more = [f"and {len(faults) - _MOST_FAULTS} more"] if len(faults) > _MOST_FAULTS else []
    return "; ".join(lines + more)


def read_parameters(function: Callable[..., Any]) -> Parameters:
    """The parameters of a function. Raises TypeError naming the function and the parameter that cannot be offered."""
    where = name_of(function)
    described = _described(inspect.getdoc(function) or "")
    contexts: list[str] = []
    fields: dict[str, str] = {}
    definitions: dict[str, Any] = {}
    for parameter in _signature(function).parameters.values():
        _refuse_unusable(where, parameter)
        if parameter.annotation is ToolContext:
            contexts.append(parameter.name)
            continue
        # pydantic reserves names ("schema", "_x", "model_…") that a parameter may well have: aliases carry them.
        field = f"p{len(fields)}"
        fields[field] = parameter.name
        definitions[field] = (parameter.annotation, _field(parameter, described.get(parameter.name)))
    try:
        model = create_model("Arguments", __config__=ConfigDict(extra="forbid"), **definitions)
        parameters = Parameters(model, fields, tuple(contexts))
        parameters.schema()
    except (PydanticUserError, SchemaError) as fault:
        what = fault.message if isinstance(fault, PydanticUserError) else " ".join(str(fault).split())
        raise TypeError(f"{where}: a parameter's type has no JSON Schema: {what}") from fault
    return parameters


def read_description(function: Callable[..., Any]) -> str:
    """The docstring up to its first section (`Args:` and the like). Raises TypeError if there is none."""
    lines: list[str] = []
    for line in (inspect.getdoc(function) or "").splitlines():
        if _SECTION.fullmatch(line):
            break
        lines.append(line)
    text = "\n".join(lines).strip()
    if not text:
        raise TypeError(f"{name_of(function)}: a tool needs a docstring, it is what the model is told")
    return text


def name_of(function: Callable[..., Any]) -> str:
    """Where a function stands, for error messages."""
    return f"{function.__module__}.{function.__qualname__}"


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(function, eval_str=True)
    except Exception as fault:  # an annotation that is text is code
        raise TypeError(f"{name_of(function)}: an annotation cannot be resolved: {fault}") from fault


def _refuse_unusable(where: str, parameter: inspect.Parameter) -> None:
    if parameter.name == UTTERANCE_FIELD:
        raise TypeError(f"{where}: parameter {parameter.name!r} is reserved for what is said before the call")
    if parameter.kind not in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY):
        raise TypeError(f"{where}: parameter {parameter.name!r} is {parameter.kind.description}; it needs a name")
    if parameter.annotation is inspect.Parameter.empty:
        raise TypeError(f"{where}: parameter {parameter.name!r} has no annotation, so it has no schema")


def _field(parameter: inspect.Parameter, description: str | None) -> FieldInfo:
    known: dict[str, Any] = {} if description is None else {"description": description}
    default = ... if parameter.default is inspect.Parameter.empty else parameter.default
    field: FieldInfo = Field(default, alias=parameter.name, **known)
    return field


def _described(docstring: str) -> dict[str, str]:
    """The parameters' descriptions out of a Google-style `Args:` section."""
    texts: dict[str, str] = {}
    section, indent, name = "", 0, ""
    for line in docstring.splitlines():
        if header := _SECTION.fullmatch(line):
            section, indent = header[1], 0
        elif section in ("Args", "Arguments") and line.strip():
            depth = len(line) - len(line.lstrip())
            indent = indent or depth
            entry = _PARAMETER.fullmatch(line.strip()) if depth == indent else None
            if entry:
                name = entry[1]
                texts[name] = entry[2]
            elif name:
                texts[name] = f"{texts[name]} {line.strip()}".strip()
    return texts
