"""The window: what may leave, when, and that nothing is ever out of reach."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from voice_agent.memory.history import (
    START,
    Buffer,
    WindowTurn,
    after,
    bounds,
    drop,
    evict,
    hide,
    order,
    prompt,
)
from voice_agent.messages import Message, ToolCall

BUFFER = Buffer(most=10, least=5)


def turns(*sizes: int, stored: int | None = None) -> tuple[WindowTurn, ...]:
    """Turns of so many messages each; the first `stored` of them are in the log."""
    known = len(sizes) if stored is None else stored

    def turn(i: int, size: int) -> WindowTurn:
        messages = tuple(Message("user", f"{i}.{n}", float(i)) for n in range(size))
        return WindowTurn(f"k{i}", messages, f"{i + 1}-0" if i < known else "")

    return tuple(turn(i, size) for i, size in enumerate(sizes))


def test_nothing_leaves_while_the_buffer_holds_it() -> None:
    """Its maximum is still inside."""
    assert evict(turns(2, 2, 2, 2, 2), START, BUFFER) is None


def test_the_oldest_whole_turns_go_down_to_the_minimum() -> None:
    """A plain turn counts as two messages."""
    assert evict(turns(2, 2, 2, 2, 2, 2), START, BUFFER) == "4-0"


def test_what_is_on_its_way_out_does_not_count() -> None:
    """Otherwise every further turn would evict once more."""
    assert evict(turns(2, 2, 2, 2, 2, 2, 2), "4-0", BUFFER) is None
    assert evict(turns(*[2] * 10), "4-0", BUFFER) == "8-0"


def test_a_turn_that_is_not_stored_yet_stays() -> None:
    """Nobody could find it."""
    assert evict(turns(2, 2, 2, 2, 2, 2, stored=1), START, BUFFER) == "1-0"
    assert evict(turns(2, 2, 2, 2, 2, 2, stored=0), START, BUFFER) is None


def test_a_single_turn_however_long_stays() -> None:
    """The newest turn is never evicted."""
    assert evict(turns(50), START, BUFFER) is None
    assert evict(turns(2, 50), START, BUFFER) == "1-0"


def test_past_the_hard_cap_turns_go_and_a_stub_says_so() -> None:
    """Down to the maximum, in one step; the stub stays the same until the next one."""
    window = turns(*[2] * 11)
    hidden = hide(window, START, BUFFER)
    assert hidden == "6-0"
    shown = prompt(window, hidden)
    assert (shown[0].role, len(shown)) == ("context", 11)
    assert "12 earlier messages" in shown[0].text
    more = (*window, *turns(*[2] * 15)[11:])
    assert hide(more, hidden, BUFFER) == hidden
    assert prompt(more, hidden)[: len(shown)] == shown


def weighing(*tokens: int) -> tuple[WindowTurn, ...]:
    """Plain turns of which a provider has counted so many tokens."""
    return tuple(
        msgspec.structs.replace(turn, counted=n) for turn, n in zip(turns(*[2] * len(tokens)), tokens, strict=True)
    )


def test_beyond_the_token_bound_turns_go_until_half_is_left() -> None:
    """However few messages there are; what is on its way out does not count."""
    buffer = bounds(10, 5, 100, None)
    assert evict(weighing(40, 30, 30), START, buffer) is None
    assert evict(weighing(40, 30, 20, 20), START, buffer) == "2-0"
    assert evict(weighing(40, 30, 20, 20), "2-0", buffer) is None
    assert evict(weighing(1, 1, 1, 1, 1, 1), START, buffer) == "4-0"
    assert evict(weighing(10, 300), START, buffer) == "1-0"


def test_a_turn_that_nobody_counted_weighs_what_its_length_says() -> None:
    """Four characters to a token, calls with their arguments included."""
    made = (ToolCall("c", "name", "x" * 36, utterance="y" * 40),)
    said = (Message("user", "w" * 400, 0.0), Message("assistant", "z" * 20, 0.0, tool_calls=made))
    assert WindowTurn("k", said).tokens == 101 + 26


def test_the_room_of_the_model_is_never_passed() -> None:
    """Turns go before three quarters are full; if no job takes them over, the rest is hidden at the brim."""
    buffer = bounds(10, 5, None, 100)
    assert (buffer.tokens, buffer.token_cap) == (75, 100)
    assert hide(weighing(40, 30, 30), START, buffer) == START
    assert hide(weighing(40, 30, 30, 1), START, buffer) == "1-0"
    assert evict(weighing(40, 30, 10), START, buffer) == "2-0"
    assert bounds(10, 5, 20, 100).token_cap == 40
    assert bounds(10, 5, None, None).token_cap is None


def test_what_a_turn_dropped_is_hidden_as_far_as_it_is_stored() -> None:
    """Whole turns; one that left the window meanwhile counts, one that was stored meanwhile has its entry."""
    shown = turns(2, 4, 2, 2, stored=3)
    now = turns(2, 4, 2, 2)[1:]
    assert drop(now, shown, 0, START) == START
    assert drop(now, shown, 6, START) == "2-0"
    assert drop(now, shown, 7, START) == "2-0"
    assert drop(now, shown, 10, START) == "4-0"
    assert drop(shown[1:], shown, 10, START) == "3-0"


_sizes = st.lists(st.integers(1, 9), min_size=1, max_size=40)


@given(_sizes, st.integers(0, 40), st.integers(0, 40), st.integers(5, 20), st.integers(1, 20))
def test_for_any_history_eviction_is_of_whole_old_stored_turns(
    sizes: list[int], stored: int, done: int, least: int, more: int
) -> None:
    """It never reaches the newest turn, never an unstored one, and what stays is what follows."""
    window, buffer = turns(*sizes, stored=stored), Buffer(most=least + more, least=least)
    wanted = f"{done}-0" if done else START
    last = evict(window, wanted, buffer)
    if last is None:
        return
    assert order(wanted) < order(last)
    kept = after(window, last)
    assert kept
    assert kept == window[len(window) - len(kept) :]
    assert all(turn.id for turn in window[: len(window) - len(kept)])


@given(_sizes, st.integers(0, 40))
def test_for_any_history_the_prompt_keeps_to_the_cap_unless_it_cannot(sizes: list[int], stored: int) -> None:
    """Only unstored turns and the newest one can exceed it; nothing is both shown and hidden."""
    window = turns(*sizes, stored=stored)
    hidden = hide(window, START, BUFFER)
    shown = after(window, hidden)
    messages = [message for message in prompt(window, hidden) if message.role != "context"]
    assert messages == [message for turn in shown for message in turn.messages]
    removable = [turn for turn in shown[:-1] if turn.id]
    assert len(messages) <= BUFFER.cap or not removable
