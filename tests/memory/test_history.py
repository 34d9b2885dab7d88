"""The window: what may leave, when, and that nothing is ever out of reach."""

from hypothesis import given
from hypothesis import strategies as st

from voice_agent.memory.history import START, Buffer, WindowTurn, after, evict, hide, order, prompt
from voice_agent.messages import Message

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
