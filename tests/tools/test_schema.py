"""Arguments checked against JSON Schemas that others wrote."""

from typing import Any

import pytest

from tests.llm.rawserver import Connection, raw_server
from voice_agent.tools.schema import SchemaError, check_of

ORDER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "what": {"type": "string", "minLength": 1},
        "count": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]},
        "size": {"enum": ["small", "large"]},
        "day": {"type": "string", "format": "date"},
        "to": {"type": "array", "items": {"$ref": "#/$defs/place"}},
    },
    "required": ["what"],
    "additionalProperties": False,
    "$defs": {
        "place": {
            "type": "object",
            "properties": {"a/b": {"type": "string"}, "in": {"$ref": "#/$defs/place"}},
            "required": ["a/b"],
            "unevaluatedProperties": False,
        }
    },
}


def schema_faults(schema: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(SchemaError) as caught:
        check_of(schema)
    return {fault.path: fault.message for fault in caught.value.faults}


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(levels):
        schema = {"properties": {"x": schema}}
    return schema


def deep(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"x": value}
    return value


def test_good_arguments_have_no_fault() -> None:
    """Optional fields, references and a schema that refers to itself included."""
    check = check_of(ORDER)
    assert check({"what": "tea"}) is None
    assert check({"what": "tea", "count": None, "size": "large", "day": "2026-11-03"}) is None
    assert check({"what": "tea", "to": [{"a/b": "x", "in": {"a/b": "y"}}]}) is None


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({}, "what: this field is required"),
        ({"what": 5}, 'what: it is not of type "string"'),
        ({"what": "x", "whom": 1}, "whom: there is no such field"),
        ({"what": "x", "size": "huge"}, 'size: it is not one of "small" or "large"'),
        ({"what": "x", "day": "tomorrow"}, 'day: it is not a "date"'),
        (
            {"what": "x", "count": 0},
            'count: none of its forms fits: it is less than the minimum of 1, or it is not of type "null"',
        ),
        ({"what": "x", "to": [{"in": {"a/b": 1}}]},
            'to/0/a~1b: this field is required; to/0/in/a~1b: it is not of type "string"'),
        ({"what": "x", "to": [{"a/b": "", "c": 1}]}, "to/0/c: there is no such field"),
    ],
)  # fmt: skip
def test_a_fault_names_the_field_and_what_is_wrong(arguments: dict[str, Any], fault: str) -> None:
    """Every fault, in the words of the checks of Python functions."""
    assert check_of(ORDER)(arguments) == fault


def test_a_fault_does_not_repeat_what_was_given() -> None:
    """Arguments may hold what no log should."""
    fault = check_of(ORDER)({"what": "x", "count": "hunter2", "size": "hunter2", "day": "hunter2", "to": "hunter2"})
    assert fault is not None
    assert fault.count(": ") >= 4
    assert "hunter2" not in fault


def test_many_faults_are_counted_and_long_ones_cut() -> None:
    """What goes back to the model stays small."""
    many = check_of({"type": "object", "additionalProperties": False})({f"f{n}": n for n in range(50)})
    assert many is not None
    assert many.count("there is no such field") == 10
    assert many.endswith("; and 40 more")
    long = check_of({"properties": {"x": {"enum": ["a" * 5000, "b"]}}})({"x": 1})
    assert long is not None
    assert len(long) < 400


def test_what_is_wrong_with_a_schema_is_said_whole() -> None:
    """All faults, each with the path into the schema."""
    wrong = {"type": "objekt", "properties": {"a": 5, "b": {"pattern": "("}, "c": {"minimum": "x"}}}
    assert set(schema_faults(wrong)) == {"/type", "/properties/a", "/properties/b/pattern", "/properties/c/minimum"}
    assert schema_faults({"properties": 5}) == {"/properties": 'it is not of type "object"'}
    assert schema_faults({"$ref": "#/$defs/nowhere"}) == {"": "Pointer '/$defs/nowhere' does not exist"}
    assert "http://nowhere/x" in schema_faults({"$schema": "http://nowhere/x"})[""]


def test_older_drafts_are_read_as_what_they_say_they_are() -> None:
    """A draft of 2013 has another `exclusiveMinimum`."""
    bounds = {"properties": {"x": {"minimum": 1, "exclusiveMinimum": True}}}
    old = {"$schema": "http://json-schema.org/draft-04/schema#", **bounds}
    assert check_of(old)({"x": 1}) is not None
    assert check_of(old)({"x": 2}) is None
    assert set(schema_faults(bounds)) == {"/properties/x/exclusiveMinimum"}


async def test_a_reference_to_another_place_is_refused_and_never_followed() -> None:
    """Nothing is fetched, and no file is read, for whoever writes a schema."""
    asked: list[int] = []

    async def answer(connection: Connection) -> None:
        asked.append(connection.number)
        connection.send(b"{}")

    async with raw_server(answer) as url:
        assert "" in schema_faults({"properties": {"x": {"$ref": url}}})
        assert "" in schema_faults({"$ref": "file:///etc/hostname"})
    assert asked == []


@pytest.mark.parametrize("schema", [{"$ref": "#"}, {"allOf": [{"$ref": "#"}]}, {"properties": {"x": {"$ref": "#"}}}])
def test_a_schema_that_turns_in_circles_ends(schema: dict[str, Any]) -> None:
    """It allows everything."""
    assert check_of(schema)({"x": {"x": {}}}) is None


def test_a_pattern_that_takes_forever_is_given_up() -> None:
    """It is a fault of the argument, after a bounded number of steps."""
    for pattern in ("^(a+)+$", r"^(?=a)(a|aa)+\1$"):
        fault = check_of({"properties": {"x": {"pattern": pattern}}})({"x": "a" * 60 + "b"})
        assert fault is not None
        assert fault.startswith("x: ")


def test_what_is_nested_too_deep_is_a_fault() -> None:
    """Of the schema, or of the arguments, the sooner the more a schema has to do at each level."""
    assert "" in schema_faults(nested(1000))
    tree: dict[str, Any] = {"properties": {"x": {"$ref": "#"}}}
    simple, tower = check_of(tree), tree
    for _ in range(120):
        tower = {"allOf": [tower]}
    assert simple(deep(90)) is None
    assert simple(deep(900)) == "arguments: they are nested too deep"
    assert check_of(tower)(deep(70)) is None
    assert check_of(tower)(deep(90)) == "arguments: they are nested too deep"


def test_a_long_chain_of_references_is_refused() -> None:
    """It would go down the machine's stack, and take the process along."""
    chain = {f"n{index}": {"$ref": f"#/$defs/n{index + 1}"} for index in range(50_000)}
    schema = {"$ref": "#/$defs/n0", "$defs": {**chain, "n50000": {"type": "object"}}}
    assert schema_faults(schema) == {"": "it has more than 1000 alternatives and references"}


def test_what_no_json_could_hold_is_a_fault() -> None:
    """It raises nothing into the turn."""
    assert check_of({"properties": {"x": {"type": "string"}}})({"x": {1, 2}}) == "arguments: they cannot be checked"


def test_what_holds_too_much_is_refused() -> None:
    """Parts and patterns are counted before any is read; a pattern has a size."""
    assert schema_faults({"properties": {f"x{n}": {} for n in range(5000)}}) == {"": "it has more than 5000 parts"}
    patterns = {
        "properties": {f"x{n}": {"pattern": "a"} for n in range(30)},
        "patternProperties": {"b" * n: {} for n in range(1, 30)},
    }
    assert schema_faults(patterns) == {"": "it has more than 50 patterns"}
    assert list(schema_faults({"properties": {"x": {"pattern": r"^(\p{L}{100}){40}$"}}})) == ["/properties/x/pattern"]


def forks(count: int) -> dict[str, Any]:
    """Each of so many references leads to the next by two ways."""
    ways = {f"n{n}": {"allOf": [{"$ref": f"#/$defs/n{n + 1}"}] * 2} for n in range(count)}
    return {"$ref": "#/$defs/n0", "$defs": {**ways, f"n{count}": {}}}


def test_references_that_fork_without_end_are_refused() -> None:
    """Forty of them are a million million ways; so are a few that all lead to each other."""
    assert check_of(forks(10))({"x": 1}) is None
    assert schema_faults(forks(40)) == {"": "its references lead too many ways"}
    names = [f"n{n}" for n in range(12)]
    mesh = {name: {"allOf": [{"$ref": f"#/$defs/{other}"} for other in names if other != name]} for name in names}
    assert schema_faults({"$ref": "#/$defs/n0", "$defs": mesh}) == {"": "its references lead too many ways"}


@pytest.mark.parametrize("back", ["#", "#here", "http://self/"])
def test_ways_that_double_with_each_level_end_the_check(back: str) -> None:
    """Arguments of few levels are checked, deep ones are not."""
    check = check_of({
        "$id": "http://self/", "$anchor": "here", "properties": {"x": {"allOf": [{"$ref": back}, {"$ref": back}]}},
    })  # fmt: skip
    assert check(deep(5)) is None
    assert check(deep(60)) == "arguments: there is too much in them, or it is nested too deep"


def test_alternatives_are_not_told_of_without_end() -> None:
    """Each that does not fit takes time and memory: past a bound no field is named, past another nothing is checked."""
    forms = [{"items": {"anyOf": [{"type": "null"}, {"type": "array"}, {"enum": list(range(97))}]}} for _ in range(30)]
    check = check_of({"properties": {"x": {"anyOf": forms}}})
    assert (check({"x": [0] * 10}), check({"x": [None] * 50})) == (None, None)
    assert (check({"x": [-1]}) or "").startswith("x: none of its forms fits")
    assert check({"x": [-1] * 50}) == "arguments: they do not fit the schema"
    assert check({"x": [0] * 1000}) == "arguments: there is too much in them, or it is nested too deep"


def test_a_type_that_holds_itself_in_many_ways_is_checked() -> None:
    """Any JSON, written as a schema."""
    within = {"$ref": "#/$defs/json"}
    forms = [{"type": ["string", "number", "boolean", "null"]}, {"type": "array", "items": within}]
    check = check_of({
        "properties": {"x": within},
        "$defs": {"json": {"anyOf": [*forms, {"type": "object", "additionalProperties": within}]}},
    })  # fmt: skip
    assert check({"x": {"a": [{"b": [1, {"c": [2, [None]]}]}]}}) is None
