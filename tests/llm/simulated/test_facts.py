"""What the simulated model reads out of a person's words, and how its memory of them changes by it."""

import pytest

from voice_agent.llm.simulated.facts import read_facts, rewrite


def told(*said: str, old: str = "", limit: int = 1000) -> list[str]:
    """The memory's lines after these words."""
    return rewrite(old, [fact for words in said for fact in read_facts(words)], limit).splitlines()


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        ("Hello, my name is Ada Lovelace, nice to meet you.", ["Their name is Ada Lovelace."]),
        ("my name is ada and i live in new york", ["Their name is Ada.", "They live in new york."]),
        ("My name\u2019s Zo\u00eb!", ["Their name is Zo\u00eb."]),
        ("Please call me Bo", ["Their name is Bo."]),
        ("I have just moved to Rome because of work", ["They live in Rome."]),
        ("I like tea and I love long walks by the sea.", ["They like tea.", "They like long walks by the sea."]),
        ("I work as a pilot now", ["They work as a pilot."]),
        ("my dog's name is Rex; my sister is called Eve", ["Their dog is called Rex.", "Their sister is called Eve."]),
        ("I don't like rain", ["They do not like rain."]),
        ("I'd like a coffee", []),
        ("my name is not important", []),
        ("I like it", []),
        ("What is my name? Where do I live?", []),
        ("your name is Eve, you live in Rome", []),
    ],
)
def test_plain_sentences_are_read(words: str, lines: list[str]) -> None:
    """And nothing is read into what only looks like one."""
    assert told(words) == lines


def test_what_was_said_last_holds() -> None:
    """In the place of what it corrects."""
    assert told("my name is Ada", "I live in Paris", "no, my name is actually Grace") == [
        "Their name is Grace.",
        "They live in Paris.",
    ]
    assert told("I like tea", "I like rum", "I don't like tea any more") == ["They do not like tea.", "They like rum."]
    assert told("I live in Paris", "I no longer live in Paris") == []


def test_what_the_memory_said_before_is_kept() -> None:
    """Lines by other hands too, and none twice."""
    old = "A regular since 2019.\nTheir name is Ada.\nTheir dog is called Rex."
    assert told("I live in Bonn", "my name is Ada", "my dog's name is Max", old=old) == [
        "A regular since 2019.",
        "Their name is Ada.",
        "Their dog is called Max.",
        "They live in Bonn.",
    ]


def test_the_oldest_lines_go_when_it_gets_too_long() -> None:
    """The limit holds for any memory."""
    assert told("I like tea", "I like rum", limit=15) == ["They like rum."]
    assert told("I like tea", limit=3) == []
