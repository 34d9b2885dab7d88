"""Reasoning goes back within its turn and no further, and a history of one wire format goes on with another."""

import itertools
import re
from pathlib import Path

import pytest

from tests.scenarios.doors import over_socket
from tests.scenarios.house import APIS, house
from tests.scenarios.script import Greeted, Interrupt, Say, Start
from voice_agent.llm.capabilities import Api

THOUGHTS: dict[Api, str] = {
    "chat": r'"reasoning_content":"([^"]+)"',
    "messages": r'"type":"thinking","thinking":"([^"]*)"',
    "responses": r'"type":"summary_text","text":"([^"]*)"|"text":"([^"]*)","type":"summary_text"',
}
FIRST_CALL = (
    Greeted(),
    Say('!think Tea it is. !call look {"q":"tea"} !call fly {"to !then !think At five. !say Tea is at five.'),
    Start("!think Hm. !say One two three four five six. !fault stall", said="One two"),
    Interrupt(3),
)
SECOND_CALL = (
    Greeted(),
    Say('!redact Well. !think Cake, then. !call look {"q":"cake"} !then !think I see. !say There is cake.'),
    Say("!say One two three four. !fault cut"),
)
THIRD_CALL = (
    Greeted(),
    Say('!think Last. !call write {"text":"tea"} !then !say It is written.'),
)
# The stalled reply breaks off at half of its pieces, of which the thought is one.
AFTER_FIRST = r"""
agent: Welcome.
= end_turn (0)
user: !think Tea it is. !call look {"q":"tea"} !call fly {"to !then !think At five. !say Tea is at five.
agent thinks:
call look {"q":"tea"}: One moment, please.
call fly {"malformed_arguments":"{\"to"}
tool: found tea
tool failed: There is no tool named 'fly'. The tools are: look, write, dial, wait.
agent thinks: Tea is at five.
= end_turn (2)
user: !think Hm. !say One two three four five six. !fault stall
agent thinks: One two [heard: One] [interrupted]
= interrupted (1)
"""
AFTER_SECOND = """
agent: Welcome.
= end_turn (0)
user: !redact Well. !think Cake, then. !call look {"q":"cake"} !then !think I see. !say There is cake.
agent thinks:
call look {"q":"cake"}: One moment, please.
tool: found cake
agent thinks: There is cake.
= end_turn (2)
user: !say One two three four. !fault cut
agent: One two
agent: Sorry, I lost my train of thought. Could you say that again?
= llm_api_error (1)
"""
AFTER_THIRD = """
agent: Welcome.
= end_turn (0)
user: !think Last. !call write {"text":"tea"} !then !say It is written.
agent thinks:
call write {"text":"tea"}: One moment, please.
tool: wrote tea
agent: It is written.
= end_turn (2)
"""


@pytest.mark.parametrize("api", APIS)
async def test_thoughts_go_back_in_their_turn_and_not_after_it(tmp_path: Path, api: Api) -> None:
    """As they were, in every step that follows: the provider itself would not notice that they are missing."""
    thinking = Say('!think One. !call look {"q":"a"} !then !think Two. !call look {"q":"b"} !then !say Done.')
    async with house(tmp_path) as here:
        await here.create("a", api, {"reasoning": "low"})
        assert await over_socket(here.place, "a", (thinking,)) == []
        assert thoughts(await here.last_request(api), api) == ["One.", "Two."]
        assert await over_socket(here.place, "a", (Say("!say Yes."),)) == []
        assert thoughts(await here.last_request(api), api) == []


def thoughts(request: str, api: Api) -> list[str]:
    """The texts of the thoughts in a request."""
    return [next(filter(None, found.groups())) for found in re.finditer(THOUGHTS[api], request)]


@pytest.mark.parametrize(("one", "other"), list(itertools.product(APIS, APIS)))
async def test_a_history_that_began_on_one_wire_format_goes_on_with_another(
    tmp_path: Path, one: Api, other: Api
) -> None:
    """And back again: the provider refuses nothing, and the history is the one that a single format leaves."""
    history = ""
    async with house(tmp_path) as here:
        await here.create("a", one, {"reasoning": "low", "greeting": "Welcome."})
        calls = ((one, FIRST_CALL, AFTER_FIRST), (other, SECOND_CALL, AFTER_SECOND), (one, THIRD_CALL, AFTER_THIRD))
        for api, steps, after in calls:
            await here.switch("a", api)
            told = await over_socket(here.place, "a", steps)
            assert told == ([f"{api} cut its reply off"] if steps is SECOND_CALL else [])
            history += after.lstrip()
            assert await here.history("a") == history.strip()
