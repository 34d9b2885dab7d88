"""`voice.v1`: golden transcripts written from the protocol page, played over real sockets; frames that are none."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects import native
from gateway.dialects.base import FrameError
from gateway.dialects.native_frames import Ping
from tests.dialects.transcripts import Transcript
from tests.gateways import gateway
from voice_agent import events as ev

GOLDENS = sorted((Path(__file__).parent / "goldens").glob("*.txt"))
LIMIT = 1000


@pytest.mark.parametrize("golden", GOLDENS, ids=lambda path: path.stem)
async def test_golden_transcript(golden: Path) -> None:
    """What the page promises comes, in its order, with its fields, and nothing else."""
    transcript = Transcript(golden)
    async with gateway() as place:
        called = {"id": "other", "name": "Other", "model": "simulated", **transcript.agent}
        assert (await place.http.ask("POST", "/v1/agents", json=called)).status == 201
        async with place.call("other" if transcript.agent else "demo") as caller:
            await transcript.play(caller)


@pytest.mark.parametrize("fields", ["latency", "usage"])
async def test_the_end_of_a_turn_says_what_it_took(fields: str) -> None:
    """The parts of the latency add up to its total; the usage counts steps and tokens."""
    async with gateway() as place, place.call() as caller:
        ended = await caller.ask("!call get_time !then !say It is late.", "t1")
    latency, usage = ended["latency"], ended["usage"]
    if fields == "latency":
        assert latency["total"] == pytest.approx(sum(part["ms"] for part in latency["parts"]), abs=0.02)
        assert 0 < latency["first_speech"] < latency["first_reply"] < latency["total"]
        assert {"queue", "provider", "tool:get_time", "store", "gateway"} >= {part["name"] for part in latency["parts"]}
    else:
        assert (usage["steps"], usage["cache_write_tokens"], usage["reasoning_tokens"]) == (2, None, None)
        assert usage["input_tokens"] > usage["output_tokens"] > 0


WHOLE: dict[str, dict[str, Any]] = {
    "session.configure": {"speech": "raw", "group": "token", "language": "en", "variables": {"a": 1}},
    "user.text": {"text": "hi", "final": False, "turn_id": "t", "revision": 0},
    "user.interrupt": {"heard": {"chars": 1}, "turn_id": "t"},
    "user.dtmf": {"digits": "12#"},
    "playback": {"turn_id": "t", "chars": 1, "done": False},
    "tool.result": {"call_id": "c", "output": None, "is_error": False},
    "context.add": {"text": "hi"},
    "agent.say": {"text": "hi", "interruptible": True},
    "ping": {"id": "p"},
    "session.end": {"reason": "r"},
}
LONG = "x" * (LIMIT + 1)
ODD: tuple[Any, ...] = (None, True, -1, 1.5, "", LONG, [1], {"chars": "many"})
# The odd values that a field does take; every other one must be refused by the field's name.
TAKEN: dict[str, tuple[Any, ...]] = {
    "session.configure language": (None,),
    "session.configure variables": (None, {"chars": "many"}),
    "user.text text": ("",),
    "user.text final": (True,),
    "user.text turn_id": (None,),
    "user.interrupt heard": (None,),
    "user.interrupt turn_id": (None,),
    "playback chars": (),
    "playback done": (True,),
    "tool.result call_id": ("", LONG),
    "tool.result output": ODD,
    "tool.result is_error": (True,),
    "agent.say interruptible": (True,),
    "ping id": (None, -1, "", LONG),
    "session.end reason": (None, ""),
}


def wrong_frames() -> Iterator[tuple[str, str, str]]:
    """Every frame with every field missing that it needs, or of every wrong type: frame, code, field."""
    for kind, fields in WHOLE.items():
        for field in fields:
            taken = TAKEN.get(f"{kind} {field}", ())
            for odd in ODD:
                if not any(type(odd) is type(fine) and odd == fine for fine in taken):
                    yield json.dumps({"type": kind, **fields, field: odd}), "bad_field", field
    for kind, field in (
        ("user.text", "text"),
        ("user.dtmf", "digits"),
        ("playback", "turn_id"),
        ("tool.result", "call_id"),
    ):
        yield (
            json.dumps({"type": kind, **{name: WHOLE[kind][name] for name in WHOLE[kind] if name != field}}),
            ("bad_field"),
            field,
        )
    yield '{"type": "tool.result", "call_id": "c"}', "bad_field", "output"
    yield '{"type": "playback", "turn_id": "t"}', "bad_field", "chars"
    yield '{"type": "playback", "turn_id": "t", "chars": 1, "ms": 1}', "bad_field", "chars"
    yield '{"type": "user.interrupt", "heard": {}}', "bad_field", "heard"
    yield '{"type": "user.interrupt", "heard": {"chars": 1, "ms": 1}}', "bad_field", "heard"
    yield '{"type": "user.interrupt", "heard": {"words": 1}}', "bad_field", "heard"
    yield '{"type": "user.text", "text": "  "}', "bad_field", "text"
    yield json.dumps({"type": "session.configure", "variables": {"a": LONG}}), "bad_field", "variables"
    yield '{"type": "session.configure", "speech": "missing required field `type`"}', "bad_field", "speech"
    for digits in ("", "1 2", "a", "1\n", "E", "1" * 65, "\u0661"):
        yield json.dumps({"type": "user.dtmf", "digits": digits}), "bad_field", "digits"
    yield '{"type": "user.shout"}', "unknown_type", "type"
    yield '{"type": 1}', "bad_field", "type"
    yield '{"text": "hi"}', "bad_frame", "type"
    for text in ("", "hello", "[]", '"ping"', "null", '{"type": "ping"', '{"type": "ping"} x', '{"type": "\\ud800"}'):
        yield text, "bad_frame", ""


WRONG = list(wrong_frames())


async def test_each_wrong_frame_gets_one_error_that_names_its_field() -> None:
    """And the session goes on as if it had not come."""
    async with gateway(max_text_chars=LIMIT) as place, place.call() as caller:
        for frame, code, field in WRONG:
            await caller.socket.send(frame)
            assert await caller.settle() == 1, frame
            error = caller.events[-1]
            named = error.get("field", "").partition(".")[0]
            assert (error["type"], error["code"], named) == ("error", code, field), frame
            assert error["message"]
            assert not error["retryable"]
        assert (await caller.ask("!say Fine.", "t1"))["heard"] == "Fine."
    assert len(WRONG) > 120


def test_what_the_table_of_odd_values_calls_taken_is_taken() -> None:
    """So that a field which refuses everything would not pass for a careful one."""
    for name, values in TAKEN.items():
        kind, field = name.split()
        for value in values:
            native.decode(json.dumps({"type": kind, **WHOLE[kind], field: value}), LIMIT)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KINDS = [*WHOLE, "tool.approval", "user.dtmf", ""]
FIELDS = sorted({field for fields in WHOLE.values() for field in fields} | {"ms", "approved", "reason"})
FRAMES = st.builds(
    lambda kind, fields: {"type": kind, **fields},
    st.sampled_from(KINDS),
    st.dictionaries(st.sampled_from(FIELDS), JSON_VALUES),
)


def check_decodes_or_says_why(frame: str) -> None:
    try:
        taken = native.decode(frame, LIMIT)
    except FrameError as fault:
        assert fault.code in ("bad_frame", "unknown_type", "bad_field", "unknown_id")  # noqa: PT017
        assert fault.message  # noqa: PT017
    else:
        assert all(isinstance(event, ev.UserEvent | native.Options | Ping) for event in taken)


@given(st.text())
def test_any_text_is_decoded_or_refused(frame: str) -> None:
    """Nothing but a frame's own error comes out of the decoder."""
    check_decodes_or_says_why(frame)


@given(FRAMES)
@settings(max_examples=400)
def test_any_object_of_a_known_type_is_decoded_or_refused(frame: dict[str, Any]) -> None:
    """Whatever its fields hold, lone surrogates and numbers that JSON does not know included."""
    check_decodes_or_says_why(json.dumps(frame))


@pytest.mark.parametrize("depth", [10, 900, 950, 1000, 1100, 30_000])
@pytest.mark.parametrize(
    "frame",
    [
        '{"type":"tool.result","call_id":"c","output":%s}',
        '{"type":"ping","new":%s}',
        '{"type":"session.configure","variables":{"a":%s}}',
        "%s",
    ],
)
def test_any_depth_is_decoded_or_refused(frame: str, depth: int) -> None:
    """A frame that is nothing but brackets overflows no stack."""
    check_decodes_or_says_why(frame % ("[" * depth + "]" * depth))


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.integers(min_value=1))
def test_what_is_encoded_is_one_json_object(text: str, seq: int) -> None:
    """Any text that a model may write survives the wire."""
    frame = json.loads(native.encode(ev.Spoke("t", text, "reply"), seq))
    assert frame == {"type": "speech.delta", "seq": seq, "turn_id": "t", "text": text, "kind": "reply"}
