"""The scorer: what it reads, how it counts, and that its checks catch a memory that loses or leaks."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.retrieval.checks import conserve, probe
from tests.retrieval.data import Line, Question, Talk, load, read_references
from tests.retrieval.score import Score, evaluate, score, table
from tests.retrieval.system import ArchiveSystem

KNOWN = frozenset(f"D{session}:{place}" for session in (1, 2, 8) for place in range(1, 20))
HOUR = 3600.0


def talk(lines: int = 30) -> Talk:
    """A conversation whose lines can be told apart, three in a session."""
    said = tuple(
        Line(
            f"D{n // 3}:{n}", n // 3, n // 3 * 10 * HOUR, "Ann", f"on trip {n} we saw rock{n} and hill{n} near lake{n}"
        )
        for n in range(lines)
    )
    return Talk(said, (Question("What about rock4?", 4, ("D1:4",)), Question("hill7, lake8?", 1, ("D2:7", "D2:8"))))


class Losing(ArchiveSystem):
    """Forgets every seventh message, and does not care for time windows."""

    def add(self, messages: Any) -> None:
        super().add([message for message in messages if not message["id"].endswith("7")])

    def search(self, query: str, k: int, keywords: Any = None, start: Any = None, end: Any = None) -> Any:
        return super().search(query, k)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (["D1:3"], ("D1:3",)),
        (["D8:6; D8:17", "D1:1"], ("D8:6", "D8:17", "D1:1")),
        (["D1:2-D1:4"], ("D1:2", "D1:3", "D1:4")),
        (["D1:18-D2:1"], ("D1:18", "D2:1")),
        (["D:1:12", "D1:05"], ("D1:12", "D1:5")),
        (["D9:1", "nothing", None, "D1:3", "D1:3"], ("D1:3",)),
    ],
)
def test_evidence_is_read_as_annotators_wrote_it(written: list[Any], read: tuple[str, ...]) -> None:
    """Lists in one string, ranges, stray colons and zeros; turns that do not exist are dropped."""
    assert read_references(written, KNOWN) == read


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    """Pictures are told in words, times count from the session's, unusable questions are left out."""
    sample = {
        "conversation": {
            "session_2": [{"speaker": "Bo", "dia_id": "D2:1", "text": "Later"}],
            "session_2_date_time": "9:05 am on 1 June, 2023",
            "session_1": [
                {"speaker": "Ann", "dia_id": "D1:1", "text": "Hi"},
                {"speaker": "Bo", "dia_id": "D1:2", "text": "", "blip_caption": "a dog"},
            ],
            "session_1_date_time": "1:56 pm on 8 May, 2023",
        },
        "qa": [
            {"question": "Who?", "category": 4, "evidence": ["D1:1"]},
            {"question": "Never?", "category": 5, "evidence": ["D1:1"]},
            {"question": "Where?", "category": 1, "evidence": ["D7:1"]},
        ],
    }
    path = tmp_path / "talks.json"
    path.write_text(json.dumps([sample]))
    (read,) = load(path)
    assert [(line.id, line.session, line.text) for line in read.lines] == [
        ("D1:1", 1, "Hi"),
        ("D1:2", 1, "[shares a dog]"),
        ("D2:1", 2, "Later"),
    ]
    assert read.lines[0].at == 1_683_554_160.0
    assert read.lines[1].at == read.lines[0].at + 20
    assert read.questions == (Question("Who?", 4, ("D1:1",)),)


def test_a_score_counts_shares_ranks_and_words() -> None:
    """Recall in the first 5 and 10, the first hit's rank, and recall within 250 words of whole turns."""
    returned = [f"t{n}" for n in range(12)]
    lengths = dict.fromkeys(returned, 30)
    assert score(returned, ["t3", "t6", "t8", "t11"], lengths) == Score(r5=0.25, r10=0.75, mrr=0.25, w250=0.5)
    assert score(returned, ["x"], lengths) == Score(0.0, 0.0, 0.0, 0.0)
    assert score([], ["x"], lengths) == Score(0.0, 0.0, 0.0, 0.0)


def test_the_means_are_taken_over_questions_by_category() -> None:
    """And over all of them."""
    report = evaluate([talk()], ArchiveSystem())
    assert {name: count for name, (count, _) in report.rows.items()} == {"all": 2, "single-hop": 1, "multi-hop": 1}
    assert report.rows["all"][1] == Score(1.0, 1.0, 1.0, 1.0)
    lost = evaluate([talk()], Losing())
    assert lost.rows["all"][1].r10 == 0.75
    assert "multi-hop        1   1.000   1.000   1.000   1.000" in table(report)


def test_the_archive_passes_both_checks() -> None:
    """Every message is found by its own words, inside its time only, and none is ever missing."""
    found = probe([talk(3), talk()], ArchiveSystem())
    assert found.passed
    assert (found.whole, found.windowed, found.leaks, found.fresh) == (1.0, 1.0, 0, 5)
    kept = conserve(talk(), ArchiveSystem())
    assert kept.passed
    assert (kept.fed, kept.lost, kept.archived, kept.found) == (30, 0, 30, 30)


def test_a_memory_that_loses_and_leaks_is_caught() -> None:
    """By each of the checks, in numbers."""
    found = probe([talk()], Losing())
    assert not found.passed
    assert found.whole == 27 / 30
    assert found.leaks > 0
    kept = conserve(talk(), Losing())
    assert not kept.passed
    assert kept.lost == 3
