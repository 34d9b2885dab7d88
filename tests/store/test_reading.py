"""Reading back: pages, heard marks that came late, also at the borders of pages, and the list of users."""

import pytest

from tests.store.turns import PAIR, answered, record, ref, said
from voice_agent.store.base import ConversationStore, Pair
from voice_agent.store.log import LOOK_PAST


async def commit(store: ConversationStore, *turn_ids: str, session: str = "s1") -> None:
    """Turns of two messages each."""
    for turn_id in turn_ids:
        of = ref(turn_id, session=session)
        await store.commit_turn(of, record(of))


async def settle(store: ConversationStore, turn_id: str, heard: str) -> None:
    """A mark that came after the turn's end."""
    await store.commit_heard(ref(turn_id), (said(turn_id), answered(turn_id, heard=heard)))


async def pages(store: ConversationStore, limit: int) -> list[list[tuple[str, str | None]]]:
    """All pages, newest first: each message's text with what was heard of it."""
    found, before = [], None
    while page := await store.read_messages(PAIR, before, limit):
        found.append([(row.message.text, row.message.heard) for row in page])
        before = page[-1].message.id
    return found


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 7, 200])
async def test_pages_of_any_size_give_every_message_once(store: ConversationStore, limit: int) -> None:
    """Whatever the page size, the pages together are the log, newest first, with the marks applied."""
    await commit(store, "t0", "t1", "t2")
    await settle(store, "t2", "t2")
    await commit(store, "t3")
    await settle(store, "t3", "t3")
    await settle(store, "t3", "t3 it")
    got = await pages(store, limit)
    assert all(len(page) == limit for page in got[:-1])
    assert [row for page in got for row in page] == [
        ("t3 it is.", "t3 it"), ("t3?", None),
        ("t2 it is.", "t2"), ("t2?", None),
        ("t1 it is.", None), ("t1?", None),
        ("t0 it is.", None), ("t0?", None),
    ]  # fmt: skip


async def test_loading_applies_the_last_mark(store: ConversationStore) -> None:
    """A session that begins again finds what was heard in the end, at the turn's own place."""
    await commit(store, "t0", "t1")
    await settle(store, "t0", "t0")
    await settle(store, "t0", "t0 it")
    turns = (await store.load(PAIR)).turns
    assert [[message.heard for message in turn.record.messages] for turn in turns] == [[None, "t0 it"], [None, None]]


async def test_settling_twice_reads_the_same(store: ConversationStore) -> None:
    """A mark that is sent again because its reply was lost changes nothing."""
    await commit(store, "t0")
    await settle(store, "t0", "t0")
    once = await store.load(PAIR)
    await settle(store, "t0", "t0")
    assert await store.load(PAIR) == once


async def test_a_mark_lies_past_the_border_and_past_another_sessions_turns(store: ConversationStore) -> None:
    """Turns of the user's other call between a turn and its mark do not hide the mark from an older page."""
    await commit(store, "t0")
    others = [f"o{number}" for number in range(LOOK_PAST - 1)]
    await commit(store, *others, session="s2")
    await settle(store, "t0", "t0")
    newest = await store.read_messages(PAIR, None, 2 * len(others))
    older = await store.read_messages(PAIR, newest[-1].message.id, 2)
    assert [(row.message.text, row.message.heard) for row in older] == [("t0 it is.", "t0"), ("t0?", None)]


async def test_a_page_can_be_asked_for_before_a_message_that_is_gone(store: ConversationStore) -> None:
    """An id is a place: whatever lies before it is found."""
    await commit(store, "t0")
    page = await store.read_messages(PAIR, "18446744073709551615-0.0", 10)
    assert [row.message.text for row in page] == ["t0 it is.", "t0?"]
    assert await store.read_messages(PAIR, "0-1.0", 10) == ()


@pytest.mark.parametrize(
    "before", ["", "x", "1-1", "1.1", "1-1.-1", "+", "(1-1.0", "1-18446744073709551616.0", "1-1.1 "]
)
async def test_what_is_no_id_is_refused(store: ConversationStore, before: str) -> None:
    """Anything else than an id is a ValueError that shows it."""
    with pytest.raises(ValueError, match="is no message id"):
        await store.read_messages(PAIR, before, 10)


async def test_users_are_listed_in_code_point_order(store: ConversationStore) -> None:
    """Users with a log at the agent come in order, page by page, and nobody else's do."""
    users = ["Zoe", "ann", "ann:2", "bob", "zoë", "Ägir", "你好", "🎧"]
    for user in reversed(users):
        await store.commit_turn(ref("t1", pair=Pair("demo", user)), record(ref("t1")))
    await store.commit_turn(ref("t1", pair=Pair("demo2", "eve")), record(ref("t1")))
    assert users == sorted(users)
    assert await store.list_users("demo", "", 50) == tuple(users)
    found, after = [], ""
    while page := await store.list_users("demo", after, 3):
        found.append(page)
        after = page[-1]
    assert [user for page in found for user in page] == users
    assert [len(page) for page in found] == [3, 3, 2]
    assert await store.list_users("nobody", "", 50) == ()
