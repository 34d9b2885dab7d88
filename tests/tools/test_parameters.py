"""Functions read as schemas, and arguments checked against them."""

from collections.abc import Callable
from datetime import date
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, BaseModel, Field

from voice_agent.tools.base import ToolContext
from voice_agent.tools.parameters import ArgumentError, read_description, read_parameters

CONTEXT = ToolContext(agent_id="a", user="u", session_id="s", turn_id="t", call_id="c", at=0.0)


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


class Place(BaseModel):
    street: str
    number: int


def order(
    what: str,
    count: int,
    context: ToolContext,
    size: Size = Size.SMALL,
    day: date | None = None,
    *,
    to: list[Place] | None = None,
    pay: Literal["cash", "card"] = "cash",
    tip: Annotated[float, Field(ge=0, description="in euros")] = 0.0,
) -> str:
    """Order something.

    It is brought home.

    Args:
        what (str): the thing,
            as the shop: names it
        count: how many
        nonsense

    Returns:
        tip: not a description of the parameter
    """
    return f"{what} {count} {context} {size} {day} {to} {pay} {tip}"


def test_the_schema_is_made_of_annotations_and_docstring() -> None:
    """Types, bounds, defaults and descriptions are in the schema; the context and titles are not."""
    schema = read_parameters(order).schema()
    fields = schema["properties"]
    assert list(fields) == ["what", "count", "size", "day", "to", "pay", "tip"]
    assert schema["required"] == ["what", "count"]
    assert schema["additionalProperties"] is False
    assert schema["type"] == "object"
    assert fields["what"] == {"type": "string", "description": "the thing, as the shop: names it"}
    assert fields["count"] == {"type": "integer", "description": "how many nonsense"}
    assert fields["pay"] == {"type": "string", "enum": ["cash", "card"], "default": "cash"}
    assert fields["tip"] == {"type": "number", "minimum": 0, "default": 0.0, "description": "in euros"}
    assert fields["to"]["anyOf"][0]["items"] == {"$ref": "#/$defs/Place"}


def test_the_description_ends_where_the_sections_begin() -> None:
    """What documents parameters and results is not said twice."""
    assert read_description(order) == "Order something.\n\nIt is brought home."


def test_good_arguments_are_bound_as_python_values() -> None:
    """Text becomes dates, enumerations and models; what was not given is left to the function's defaults."""
    parameters = read_parameters(order)
    given = {"what": "tea", "count": 2, "size": "large", "day": "2026-11-03", "to": [{"street": "x", "number": 1}]}
    assert parameters.check(given) is None
    assert parameters.bind(given, CONTEXT) == {
        "what": "tea",
        "count": 2,
        "context": CONTEXT,
        "size": Size.LARGE,
        "day": date(2026, 11, 3),
        "to": [Place(street="x", number=1)],
    }


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({"what": "tea"}, "count: this field is required"),
        ({"what": "tea", "count": "2"}, "count: Input should be a valid integer"),
        ({"what": "tea", "count": True}, "count: Input should be a valid integer"),
        ({"what": None, "count": 1}, "what: Input should be a valid string"),
        ({"what": "tea", "count": 1, "colour": "red"}, "colour: there is no such field"),
        ({"what": "tea", "count": 1, "context": {}}, "context: there is no such field"),
        ({"what": "tea", "count": 1, "tip": -1}, "tip: Input should be greater than or equal to 0"),
        ({"what": "tea", "count": 1, "to": [{"street": "x", "number": "y"}]}, "to/0/number: Input should be a valid"),
    ],
)
def test_a_fault_names_its_field(arguments: dict[str, Any], fault: str) -> None:
    """Wrong, missing and unknown arguments are each told by the name the model used."""
    parameters = read_parameters(order)
    assert (parameters.check(arguments) or "").startswith(fault)
    with pytest.raises(ArgumentError, match=f"^{fault}"):
        parameters.bind(arguments, CONTEXT)


def test_all_faults_are_told_at_once_but_not_without_end() -> None:
    """Two faults are both named; of a thousand the first ten, and how many more there are."""

    def add(numbers: list[int], name: str) -> None:
        """Add."""

    parameters = read_parameters(add)
    assert parameters.check({}) == "numbers: this field is required; name: this field is required"
    many = parameters.check({"name": "x", "numbers": ["no"] * 1000}) or ""
    assert many.count("numbers/") == 10
    assert many.endswith("and 990 more")


def test_names_that_pydantic_keeps_for_itself_are_allowed() -> None:
    """A parameter may be called `schema`, `model_config` or `_hidden`."""

    def odd(schema: str, model_config: int, _hidden: bool = False) -> None:
        """Do."""

    parameters = read_parameters(odd)
    assert list(parameters.schema()["properties"]) == ["schema", "model_config", "_hidden"]
    given = {"schema": "x", "model_config": 1, "_hidden": True}
    assert parameters.bind(given, CONTEXT) == given


@pytest.mark.parametrize("fault", [KeyError, SystemExit])
def test_a_validator_that_crashes_is_a_fault_of_the_arguments(fault: type[BaseException]) -> None:
    """The check runs inside the turn, so nothing that an author's validator does may leave it."""

    def crash(value: int) -> int:
        raise fault(value)

    def careful(count: Annotated[int, AfterValidator(crash)]) -> None:
        """Do."""

    assert read_parameters(careful).check({"count": 1}) == f"arguments: they cannot be checked ({fault.__name__})"


def test_arguments_that_utf8_cannot_carry_are_a_fault() -> None:
    """A lone surrogate is told of and does not raise."""
    assert read_parameters(order).check({"what": "\ud800", "count": 1}) is not None


def unannotated(count) -> None:  # type: ignore[no-untyped-def]
    """Do."""


def reserved(pre_exec_msg: str) -> None:
    """Do."""


def many(*words: str) -> None:
    """Do."""


def positional(count: int, /) -> None:
    """Do."""


def unresolved(count: "Nowhere") -> None:  # type: ignore[name-defined]  # noqa: F821
    """Do."""


def no_schema(work: Callable[[], None]) -> None:
    """Do."""


def no_attribute(count: "date.nowhere") -> None:  # type: ignore[name-defined]
    """Do."""


def no_expression(count: int) -> None:
    """Do."""


no_expression.__annotations__["count"] = "int |"


def no_pattern(word: Annotated[str, Field(pattern="(?=a)b")]) -> None:
    """Do."""


def positional_context(context: ToolContext, /) -> None:
    """Do."""


def many_contexts(*contexts: ToolContext) -> None:
    """Do."""


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (no_attribute, "no_attribute: an annotation cannot be resolved: .* no attribute 'nowhere'"),
        (no_expression, "no_expression: an annotation cannot be resolved: invalid syntax"),
        (no_pattern, "no_pattern: a parameter's type has no JSON Schema: .* look-around"),
        (positional_context, "positional_context: parameter 'context' is positional-only"),
        (many_contexts, "many_contexts: parameter 'contexts' is variadic"),
        (unannotated, "unannotated: parameter 'count' has no annotation"),
        (reserved, "reserved: parameter 'pre_exec_msg' is reserved"),
        (many, "many: parameter 'words' is variadic"),
        (positional, "positional: parameter 'count' is positional-only"),
        (unresolved, "unresolved: an annotation cannot be resolved: name 'Nowhere'"),
        (no_schema, "no_schema: a parameter's type has no JSON Schema"),
    ],
)
def test_what_cannot_be_offered_is_refused_by_name(function: Callable[..., Any], named: str) -> None:
    """The error names the function and the parameter."""
    with pytest.raises(TypeError, match=f"tests.tools.test_parameters.{named}"):
        read_parameters(function)


def test_a_docstring_of_sections_only_describes_nothing() -> None:
    """What comes before `Args:` is the description, and it must be there."""

    def silent(count: int) -> None:
        """
        Args:
            count: how many
        """

    with pytest.raises(TypeError, match=r"silent: a tool needs a docstring"):
        read_description(silent)
