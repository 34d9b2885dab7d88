"""The archive: what is found, what is left out, and what changes when the store tells of a change."""

import pytest
from msgspec.structs import replace

from tests.memory.archives import DAY, NOON, called, document, ids, logged, turn
from voice_agent.memory.archive import Archive, Item, Query
from voice_agent.messages import Message
from voice_agent.store.memory import SearchKey


def archive(*items: Item) -> Archive:
    """An archive that was told these, in this order."""
    made = Archive()
    for item in items:
        made.take(item)
    return made


def test_messages_and_documents_are_found_with_all_that_is_known_of_them() -> None:
    """Time, speaker, source and reference come with the text."""
    made = archive(turn(1, "I adopted a kitten", "Congratulations!"), document(2, "Invoice 77", NOON, "Acme", "inv/77"))
    (found,) = made.search(Query("invoice", limit=1))
    passage = found.passage
    assert (passage.id, passage.text, passage.speaker, passage.at) == ("d2-0", "Invoice 77", "Acme", NOON)
    assert (passage.source, passage.ref) == ("document", "inv/77")
    (found,) = made.search(Query("did she adopt kittens?", limit=1))
    assert (found.passage.id, found.passage.speaker, found.passage.source) == ("1-0.0", "user", "message")
    assert found.score > 0


def test_every_message_is_found_by_its_own_words() -> None:
    """Whatever surrounds it, short ones and those of stop words too."""
    texts = [f"{word} number {n}" for n, word in enumerate(("red", "blue", "green") * 20)]
    texts += ["What was it?", "ok", "猫が好きです", "👍", "No, I will not."]
    made = archive(*(turn(n, text, f"answer {n}") for n, text in enumerate(texts, start=1)))
    for n, text in enumerate(texts, start=1):
        assert f"{n}-0.0" in ids(made, text), text


def test_an_answer_is_found_by_the_words_of_its_question() -> None:
    """Neighbours count."""
    made = archive(turn(1, "Which city are you from?", "Lisbon"), turn(2, "Nice", "Indeed", session="s2"))
    assert set(ids(made, "city")) == {"1-0.0", "1-0.1"}


@pytest.mark.parametrize("mark", ["?", "\uff1f", "? "])
def test_a_question_is_worth_less_than_a_statement_of_the_same_words(mark: str) -> None:
    """One asks what the other tells."""
    made = archive(turn(1, "the gate is open"), turn(2, f"the gate is open{mark}", session="s2"), turn(3, "well"))
    assert ids(made, "gate")[:2] == ["1-0.0", "2-0.0"]


def test_neighbours_end_with_the_session_and_with_a_pause() -> None:
    """Another session, or an hour of silence: what was said before has nothing to do with it."""
    same = archive(turn(1, "zebra", "a"), turn(2, "b", "c"))
    other = archive(turn(1, "zebra", "a"), turn(2, "b", "c", session="s2"))
    later = archive(turn(1, "zebra", "a"), turn(2, "b", "c", at=NOON + DAY))
    assert len(ids(same, "zebra")) == 3
    assert ids(other, "zebra") == ids(later, "zebra") == ["1-0.0", "1-0.1"]


def test_documents_of_one_time_are_each_other_s_neighbours_and_no_message_s() -> None:
    """A transcript that was added line by line is read as one."""
    made = archive(document(1, "zebra"), turn(1, "hello", "hi"), document(2, "b"), document(3, "c", NOON + DAY))
    assert ids(made, "zebra") == ["d1-0", "d2-0"]


def test_a_conversation_that_holds_a_good_passage_lifts_its_others() -> None:
    """Of two equal passages, the one in the right conversation comes first, however old."""
    made = archive(
        turn(1, "the harbour in Porto", "ah"),
        *(turn(n, "filler words", "more filler") for n in range(2, 6)),
        turn(6, "we ate fish", "mm"),
        turn(7, "we ate fish", "mm", session="s2"),
    )
    assert ids(made, "fish harbour Porto", limit=10).index("6-0.0") < ids(made, "fish harbour Porto").index("7-0.0")


def test_of_equal_passages_the_later_comes_first() -> None:
    """What is true now was probably said last."""
    made = archive(turn(1, "my code is 5"), turn(2, "my code is 5", session="s2"), turn(3, "x y", session="s3"))
    assert ids(made, "code") == ["2-0.0", "1-0.0"]


def test_the_speaker_and_the_date_of_a_document_are_words_of_it() -> None:
    """Who said it and when is asked for as often as what was said."""
    made = archive(document(1, "I agree", NOON, "Caroline"), document(2, "I agree", NOON + 40 * DAY, "Melanie"))
    assert ids(made, "Caroline")[0] == "d1-0"
    assert ids(made, "in June 2023")[0] == "d2-0"


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        (None, None, ["3-0.0", "2-0.0", "1-0.0"]),
        (NOON + DAY, None, ["3-0.0", "2-0.0"]),
        (None, NOON + DAY, ["2-0.0", "1-0.0"]),
        (NOON + 1, NOON + DAY, ["2-0.0"]),
        (NOON + 3 * DAY, None, []),
        (NOON + DAY, NOON, []),
    ],
)
def test_only_what_was_said_in_the_time_window_is_ranked(
    start: float | None, end: float | None, found: list[str]
) -> None:
    """Both ends belong to it, and the best outside don't take places of those inside."""
    made = archive(*(turn(n, "tea", session=f"s{n}", at=NOON + (n - 1) * DAY) for n in (1, 2, 3)))
    assert ids(made, "tea", start=start, end=end) == found
    assert ids(made, "tea", start=start, end=end, limit=1) == found[:1]


def test_what_is_in_the_prompt_is_left_out_before_ranking() -> None:
    """The places go to others; ids that are not known don't matter."""
    made = archive(*(turn(n, "tea", session=f"s{n}") for n in (1, 2, 3)))
    assert ids(made, "tea", exclude=frozenset({"3-0.0", "9-0.7"}), limit=2) == ["2-0.0", "1-0.0"]


def test_keyword_queries_are_ranked_together_with_the_words() -> None:
    """Each finds its own, what both ask for comes first, and either may be missing."""
    made = archive(*(turn(n, text, session=f"s{n}") for n, text in enumerate(("tea", "cake", "tea cake"), start=1)))
    assert ids(made, "tea", keywords=("cake",))[0] == "3-0.0"
    assert set(ids(made, "tea", keywords=("cake",))) == {"1-0.0", "2-0.0", "3-0.0"}
    assert set(ids(made, "", keywords=("cake",))) == {"2-0.0", "3-0.0"}
    assert ids(made, "") == []


def test_what_the_model_did_not_get_said_is_not_found() -> None:
    """History is what was heard: words that no one heard lead nowhere, also when the marks come late."""
    said = Message("assistant", "The parcel is in Oslo", NOON, heard="The parcel")
    made = archive(logged(1, said))
    assert ids(made, "Oslo") == []
    assert ids(made, "parcel") == ["1-0.0"]
    made.take(logged(1, replace(said, heard="The parcel is in Oslo")))
    assert ids(made, "Oslo") == ["1-0.0"]
    made.take(logged(1, replace(said, heard="")))
    assert ids(made, "parcel") == []
    assert len(made) == 1


def test_tools_are_found_by_name_utterance_and_result_but_search_s_results_are_not() -> None:
    """What search returned is in the archive already."""
    made = archive(
        logged(1, Message("user", "hello", NOON), *called("weather", "rain in Bergen")),
        logged(2, *called("search_memory", '{"text":"rain in Bergen"}')),
    )
    (found,) = made.search(Query("Bergen", limit=1))
    assert (found.passage.id, found.passage.speaker) == ("1-0.2", "weather")
    assert ids(made, "one moment")[:2] == ["2-0.0", "1-0.1"]
    assert "2-0.1" not in made


def test_a_deleted_document_is_gone() -> None:
    """Its words lead to it no more, nor to its neighbours; deleting it again changes nothing."""
    made = archive(document(1, "zebra"), document(2, "lion"), "d1-0")
    assert ids(made, "zebra") == []
    assert ids(made, "lion") == ["d2-0"]
    assert "d1-0" not in made
    made.take("d1-0")
    made.take("d7-0")
    assert ids(made, "lion") == ["d2-0"]


def test_keys_lead_to_the_messages_they_were_made_from() -> None:
    """By a context's words and a fact's, from the first message to the last and to no other."""
    made = archive(
        *(turn(n, f"word{n}", f"reply{n}", session=f"s{n}") for n in (1, 2, 3)),
        SearchKey("1-0.1", "2-0.0", "Plans for a holiday.", ("The caller is vegetarian.",)),
        SearchKey("8-0.0", "9-0.0", "A holiday of somebody else."),
    )
    assert set(ids(made, "holidays")) == {"1-0.1", "2-0.0"}
    assert set(ids(made, "vegetarian")) == {"1-0.1", "2-0.0"}
    assert ids(made, "vegetarian", exclude=frozenset({"2-0.0"})) == ["1-0.1"]


def test_a_key_lifts_the_message_that_its_fact_is_about() -> None:
    """Among messages that have the same words, those that a model found worth a fact come first."""
    made = archive(
        turn(1, "that place in the mountains", session="s1"),
        turn(2, "another place in the mountains", session="s2"),
        SearchKey("1-0.0", "1-0.0", "", ("The caller was married in the mountains.",)),
    )
    assert ids(made, "mountains wedding married")[0] == "1-0.0"


def test_dates_that_no_calendar_has_do_no_harm() -> None:
    """A document may claim any time."""
    made = archive(document(1, "zebra", 1e300), document(2, "zebra", -1e300))
    assert set(ids(made, "zebra")) == {"d1-0", "d2-0"}


@pytest.mark.parametrize("limit", [0, 1, 2, 50])
def test_no_more_are_given_than_asked_for(limit: int) -> None:
    """Or than there are."""
    made = archive(*(turn(n, "tea", session=f"s{n}") for n in (1, 2, 3)))
    assert len(ids(made, "tea", limit=limit)) == min(limit, 3)
