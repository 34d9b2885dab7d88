"""The tools that act on the call."""

import pytest

from tests.tools.test_runner import run
from voice_agent.events import ToolReturned
from voice_agent.tools.call import end_call, send_digits, transfer_call


def test_end_call_ends_the_turn_and_the_call() -> None:
    """It waits for the model's whole reply, and its utterance is the goodbye."""
    spec = end_call.spec
    assert (spec.schema.name, spec.exits, spec.acts, spec.effects) == ("end_call", True, "hang_up", "irreversible")
    assert spec.say
    assert "goodbye" in (spec.utterance_hint or "")
    assert spec.schema.parameters["properties"] == {}


async def test_end_call_succeeds() -> None:
    """The turn ends only if it did."""
    assert (await run(end_call)).status == "ok"


async def test_transfer_call_ends_the_turn_and_hands_the_call_over() -> None:
    """It waits for the model's whole reply, and for the caller to hear who comes next."""
    spec = transfer_call.spec
    assert (spec.exits, spec.acts, spec.effects, spec.say) == (True, "transfer", "irreversible", True)
    assert (await run(transfer_call, to="+4930123456")).status == "ok"


async def test_send_digits_goes_on() -> None:
    """Menus come one after the other, so that it runs beside no other call."""
    spec = send_digits.spec
    assert (spec.exits, spec.acts, spec.effects, spec.parallel) == (False, "digits", "irreversible", False)
    assert await run(send_digits, digits="12#") == ToolReturned("c1", "The keys 1 2 # are pressed.")


@pytest.mark.parametrize("to", ["", " ", "+49\n30", "x" * 201, "\u202e12"])
def test_a_transfer_needs_somewhere_to_go(to: str) -> None:
    """Up to 200 printable characters."""
    assert (transfer_call.spec.check({"to": to}) or "").startswith("to: ")
    assert transfer_call.spec.check({"to": "sip:ann@example.org"}) is None
    assert transfer_call.spec.check({"to": "front desk"}) is None


@pytest.mark.parametrize("digits", ["", "1 2", "a", "1\n", "1" * 65])
def test_only_keys_are_sent(digits: str) -> None:
    """Those of a telephone, at most 64."""
    assert (send_digits.spec.check({"digits": digits}) or "").startswith("digits: ")
    assert send_digits.spec.check({"digits": "0123456789*#ABCD"}) is None
