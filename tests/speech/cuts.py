"""Texts full of what speech has to know, and every way to cut them."""

from collections.abc import Iterator

from hypothesis import strategies as st

PIECES = (
    "a", "word ", "Hello", " ", "  ", "\n", "\n\n", "1", "42", ". ", ".", ", ", "?", "!", ":", "*", "**", "***", "_",
    "__", "~~", "`", "```", "```py\n", "# ", "###### ", "- ", "+ ", "* ", "---", "===", "> ", "1. ", "2) ", "[", "]",
    "](", ")", "!", "](https://a.b/c)", "[x] ", "http", "https://", "www.", "a.com/b?c=d#e", "/", "?x", "<", "<https://",
    ">", "|", "| ", "|---|", ":-:", "\\", "\\*", "😀", "👩\u200d👩\u200d👧", "🇩🇪", "1️⃣", "\u200d", "क्", "你好", "。",
    "ですか？", "नमस्ते।", "؟", "é", "Dr. ", "e.g. ", "3.14", "\r\n", " 😀 ", '"', "」", "(", "，", "3：", "etc. ", ".c",
    "So ", "at 5. ", "!" * 14, " " * 14, "word " * 20, "\f", "\u00a0", "x" * 130,
)  # fmt: skip
texts = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=30).map("".join)


def cuttings(text: str) -> Iterator[list[str]]:
    """The text in two pieces, cut at every place; and character by character."""
    for place in range(1, len(text)):
        yield [text[:place], text[place:]]
    yield list(text)
