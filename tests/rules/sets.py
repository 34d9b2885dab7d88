"""Any rules over the tests' tools, and any calls of them."""

from typing import Any

from hypothesis import strategies as st

from tests.turns import TOOLS
from voice_agent.rules import kinds

_tool = st.sampled_from(list(TOOLS))
_some = st.lists(_tool, min_size=1, max_size=3).map(tuple)
_plain = (kinds.RunFirst, kinds.Exit, kinds.Continue, kinds.RequiredBeforeExit)


def _made(kind: Any, **fields: Any) -> st.SearchStrategy[Any]:
    return st.builds(kind, tool=_tool, **fields)


_mapping = st.dictionaries(st.sampled_from(["yes", "1", "true", "result"]), _tool, min_size=1)
any_rules: st.SearchStrategy[list[Any]] = st.lists(
    st.one_of(
        *(_made(kind) for kind in _plain),
        _made(kinds.Children, children=_some),
        _made(kinds.Parent, children=_some),
        _made(kinds.Conditional, mapping=_mapping, default=_tool),
        _made(kinds.Conditional, mapping=_mapping, require_mapping=st.booleans()),
        _made(kinds.MaxCount, count=st.integers(1, 2)),
    ),
    max_size=5,
    unique_by=lambda rule: rule.name,
)
calls = st.lists(st.tuples(_tool, st.booleans()), max_size=5)
