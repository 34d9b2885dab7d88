"""The argument scanner: what it speaks, when it is sure, and what it makes of broken JSON."""

import json
import math
import sys
from itertools import pairwise
from types import FrameType
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from voice_agent.utterance import ArgumentScanner, well_formed

FIELD = "pre_exec_msg"
texts = st.text() | st.text(alphabet='"\\/\n\té😀{}[]:,')
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=8
)
keys = texts | st.just(FIELD)
objects = st.dictionaries(keys, values, max_size=6)


def finite(number: str) -> float:
    """What Python's reader lets through and JSON does not carry: NaN, infinities, and numbers that become them."""
    if not math.isfinite(float(number)):
        raise ValueError(number)
    return float(number)


def in_pieces(text: str, cuts: list[int]) -> list[str]:
    borders = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    return [text[start:end] for start, end in pairwise(borders)]


def fed(*pieces: str) -> tuple[ArgumentScanner, list[str]]:
    scanner = ArgumentScanner()
    return scanner, [scanner.feed(piece) for piece in pieces]


@settings(deadline=None)
@given(objects, st.lists(st.integers(0, 300), max_size=40), st.booleans(), st.sampled_from([None, 1]))
@example({FIELD: 'é😀\\"x', "b": {FIELD: "no"}}, list(range(300)), True, None)
def test_any_object_in_any_pieces_gives_its_utterance_and_its_arguments(
    document: dict[str, Any], cuts: list[int], ascii_only: bool, indent: int | None
) -> None:
    """However it is cut, the fed pieces add up to the field's text and the rest to the arguments."""
    text = json.dumps(document, ensure_ascii=ascii_only, indent=indent)
    value = document.get(FIELD)
    scanner = ArgumentScanner()
    spoken = []
    seen = 0
    for piece in in_pieces(text, cuts):
        spoken.append(scanner.feed(piece))
        seen += len(piece)
        assert scanner.complete is (seen == len(text))
    assert "".join(spoken) == (value if isinstance(value, str) else "")
    assert scanner.utterance == (value if isinstance(value, str) else None)
    assert scanner.utterance_done is isinstance(value, str)
    assert scanner.arguments() == {key: item for key, item in document.items() if key != FIELD}
    assert scanner.text == text
    assert not scanner.overrun


@settings(deadline=None)
@given(st.text(alphabet=st.characters(), max_size=20), st.lists(st.integers(0, 200), max_size=30))
@example("\ud83d", [])
@example("\ude00\ud83d", [])
@example("\ud83d\ud83d\ude00\ude00", list(range(200)))
def test_lone_surrogates_become_the_replacement_character(value: str, cuts: list[int]) -> None:
    """Pairs are joined over any cut, and what has no partner is U+FFFD in speech and in arguments."""
    clean = value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    for ascii_only in (True, False):
        scanner, spoken = fed(*in_pieces(json.dumps({FIELD: value, "a": value}, ensure_ascii=ascii_only), cuts))
        assert "".join(spoken) == clean
        assert scanner.arguments() == {"a": clean}
        scanner.text.encode()


@settings(deadline=None)
@given(
    st.text(alphabet='{}[]",:\\u0d8c \nx1-', max_size=40) | objects.map(json.dumps),
    st.integers(0, 60),
    texts,
    st.lists(st.integers(0, 60)),
)
def test_broken_text_never_raises(text: str, at: int, wedge: str, cuts: list[int]) -> None:
    """Whatever comes, no exception leaves the scanner, and there are arguments exactly where JSON has an object."""
    broken = text[:at] + wedge + text[at:]
    scanner, _ = fed(*in_pieces(broken, cuts))
    try:
        expected = json.loads(broken, parse_constant=finite, parse_float=finite)
    except ValueError:
        expected = None
    found = scanner.arguments()
    assert (found is not None) is isinstance(expected, dict)
    if found is not None:
        assert scanner.complete
        assert not scanner.overrun
        assert found.keys() == {well_formed(key) for key in expected} - {FIELD}


def test_nothing_is_spoken_before_the_key_is_certain() -> None:
    """A key that only begins like the field, or is read but not yet followed by a colon and a quote, says nothing."""
    text = '{"pre_exec_msg_2":"no","x":"pre_exec_msg","pre_exec_msg" : "yes"}'
    start = text.index('"yes"') + 1
    scanner, spoken = fed(*text)
    assert [index for index, piece in enumerate(spoken) if piece] == [start, start + 1, start + 2]
    assert scanner.utterance == "yes"


def test_each_character_is_spoken_as_it_comes() -> None:
    """Plain characters are returned by the very feed that brings them, escapes by the one that completes them."""
    _, spoken = fed(*r'{"pre_exec_msg":"a\n\u00e9\ud83d\ude00"}')
    start = len('{"pre_exec_msg":"')
    assert spoken[start:] == ["a", "", "\n", *[""] * 5, "é", *[""] * 11, "😀", "", ""]


def test_the_field_is_met_before_its_text() -> None:
    """Between the opening quote and the first character the utterance is empty, and not absent."""
    scanner = ArgumentScanner()
    states = []
    for piece in ('{"pre_exec_msg":', '"', '"', "}"):
        scanner.feed(piece)
        states.append((scanner.utterance, scanner.utterance_done, scanner.complete))
    assert states == [(None, False, False), ("", False, False), ("", True, False), ("", True, True)]


def test_an_escaped_spelling_of_the_key_counts() -> None:
    """JSON equality of names is decided after unescaping."""
    scanner, spoken = fed(r'{"pre\u005fexec_ms\u0067":"hi","a":1}')
    assert spoken == ["hi"]
    assert scanner.arguments() == {"a": 1}


def test_the_first_of_two_utterances_is_spoken() -> None:
    """A repeated field is not spoken again, and neither stays in the arguments."""
    scanner, spoken = fed('{"pre_exec_msg":"one","a":1,"pre_exec_msg":"two"}')
    assert spoken == ["one"]
    assert scanner.utterance == "one"
    assert scanner.arguments() == {"a": 1}


@pytest.mark.parametrize("value", ["1", "null", "true", '["no"]', '{"pre_exec_msg":"no"}'])
def test_only_a_string_is_an_utterance(value: str) -> None:
    """A field of another type is silent, and is removed all the same."""
    scanner, spoken = fed(f'{{"pre_exec_msg":{value},"a":[{{"pre_exec_msg":"no"}}]}}')
    assert spoken == [""]
    assert scanner.utterance is None
    assert scanner.arguments() == {"a": [{"pre_exec_msg": "no"}]}


def test_without_a_field_everything_is_an_argument() -> None:
    """A scanner told of no field speaks nothing and removes nothing."""
    scanner = ArgumentScanner(None)
    assert scanner.feed('{"pre_exec_msg":"hi"}') == ""
    assert scanner.arguments() == {"pre_exec_msg": "hi"}


def test_white_space_after_the_object_is_no_overrun() -> None:
    """Blanks may surround the object; anything else after it spoils the call."""
    scanner, _ = fed(' \n{"a":1}', " \r\n\t")
    assert scanner.complete
    assert scanner.arguments() == {"a": 1}
    scanner.feed('{"b":2}')
    assert scanner.complete
    assert scanner.overrun
    assert scanner.arguments() is None


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "null", '"pre_exec_msg"', "[1]", '{"a":1', '{"a" 1}', '{"a":1,}', '{"a":tru}', "{a:1}", '{"a":[}}',
        '{"a":NaN}', '{"a":1e999}', '{"a":"\\x"}', '{"a":"\\ud8zz"}', '{"a":"\n"}', '{"a":1}\u00a0', "\ufeff{}", '{,}',
    ],
)  # fmt: skip
def test_what_is_not_one_json_object_has_no_arguments(text: str) -> None:
    """None is the answer to all that JSON does not call an object, never an empty object."""
    scanner, _ = fed(text)
    assert scanner.arguments() is None
    assert scanner.text == text


@pytest.mark.parametrize(
    "text", ['{"a":[},"pre_exec_msg":"x"}', '{"a" "b","pre_exec_msg":"x"}', '["pre_exec_msg":"x"]']
)
def test_nothing_is_spoken_out_of_broken_text(text: str) -> None:
    """Once the text cannot become an object, what looks like an utterance is not one."""
    scanner, spoken = fed(text)
    assert spoken == [""]
    assert not scanner.complete


def test_speech_stops_at_a_broken_escape() -> None:
    """What was certain before the fault stays said, what follows it is not spoken."""
    scanner, spoken = fed('{"pre_exec_msg":"one \\q two"}')
    assert spoken == ["one "]
    assert not scanner.utterance_done


@pytest.mark.parametrize(("levels", "taken"), [(100, True), (101, False), (990, False), (100_000, False)])
def test_very_deep_nesting_is_refused(levels: int, taken: bool) -> None:
    """Brackets without end are no arguments, nor are so many that they can be read and not be written any more."""
    scanner, _ = fed('{"a":' + "[" * levels + "]" * levels + "}")
    assert scanner.complete
    assert (scanner.arguments() is not None) is taken


def steps_to_read(size: int) -> int:
    """Lines of Python executed to read a call of about `size` characters, one character at a time."""
    text = json.dumps({"a": ["x\n"] * (size // 16), FIELD: "é\\ " * (size // 20), "b": "y" * (size // 4)})
    scanner = ArgumentScanner()
    count = 0

    def counted(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        count += 1
        return counted

    before = sys.gettrace()
    sys.settrace(counted)
    try:
        for char in text:
            scanner.feed(char)
    finally:
        sys.settrace(before)
    assert scanner.complete
    return count


def test_reading_takes_linear_time() -> None:
    """Eight times the text takes no more than about eight times the steps."""
    small, large = steps_to_read(1_000), steps_to_read(8_000)
    assert large < 8.8 * small
