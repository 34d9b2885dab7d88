"""The tool that ends a call."""

from tests.tools.test_runner import run
from voice_agent.tools.call import end_call


def test_end_call_ends_the_turn_and_the_call() -> None:
    """It waits for the model's whole reply, and its utterance is the goodbye."""
    spec = end_call.spec
    assert (spec.schema.name, spec.exits, spec.hangs_up, spec.effects) == ("end_call", True, True, "irreversible")
    assert spec.say
    assert "goodbye" in (spec.utterance_hint or "")
    assert spec.schema.parameters["properties"] == {}


async def test_end_call_succeeds() -> None:
    """The turn ends only if it did."""
    assert (await run(end_call)).status == "ok"
