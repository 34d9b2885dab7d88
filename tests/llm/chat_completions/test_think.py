"""Thoughts between tags, told from speech as they stream."""

from hypothesis import given
from hypothesis import strategies as st

from voice_agent.llm.chat_completions.think import ThinkTags


def split(*pieces: str) -> tuple[str, str]:
    """Speech and thoughts of a text in these pieces."""
    tags = ThinkTags()
    out = [part for piece in pieces for part in tags.feed(piece)] + tags.flush()
    return "".join(p.text for p in out if not p.thought), "".join(p.text for p in out if p.thought)


def test_tags_cut_anywhere() -> None:
    """Wherever the text is cut, thoughts are never speech."""
    text = "a<think>b < c</think>d <thin e<think>f"
    for cut in range(len(text) + 1):
        assert split(text[:cut], text[cut:]) == ("ad <thin e", "b < cf")


def test_only_an_ambiguous_tail_is_held() -> None:
    """Text that can be no tag comes at once."""
    tags = ThinkTags()
    assert [piece.text for piece in tags.feed("x < y <th")] == ["x < y "]
    assert [piece.text for piece in tags.feed("e")] == ["<the"]


@given(st.lists(st.text("<think>/ab")))
def test_nothing_is_lost(pieces: list[str]) -> None:
    """Text comes out whole, but for the tags, however it came in."""
    assert split(*pieces) == split("".join(pieces))
