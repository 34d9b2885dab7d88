"""The README tells the truth where a test can know it."""

import re
from pathlib import Path
from typing import get_args

from tests.ledger import play
from voice_agent import events as ev
from voice_agent.config import Settings
from voice_agent.turn_states import diagram

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_state_diagram_is_the_one_that_the_table_draws() -> None:
    """Change the table, and this tells what to put into the README."""
    assert f"```mermaid\n{diagram()}\n```" in README


def test_the_ledger_is_the_one_that_the_call_leaves() -> None:
    """`python -m tests.ledger` prints what to put into the README."""
    assert f"```\n{play().page()}```" in README


def test_the_alphabets_are_listed_whole() -> None:
    """Member by member, in their order."""
    for name in ("UserEvent", "ModelEvent", "TurnEvent", "Effect"):
        members = ", ".join(member.__name__ for member in get_args(getattr(ev, name)))
        assert f"| `{name}` | {members} |" in README


def test_every_setting_is_in_the_table_with_its_default() -> None:
    """And no other is."""
    row = r"^\| `((?:VOICE|OPENAI|ANTHROPIC|REDIS)_[A-Z_]+)` \| (?:`([^`]*)`)? \|"
    rows = dict(re.findall(row, README, re.MULTILINE))
    settings = {
        str(field.validation_alias.choices[0]) if field.validation_alias else f"VOICE_{name.upper()}": field.default  # type: ignore[union-attr]
        for name, field in Settings.model_fields.items()
    }
    assert rows.keys() == settings.keys()
    for name, default in settings.items():
        if isinstance(default, int | float) and not isinstance(default, bool):
            assert float(rows[name]) == default, name


def test_the_tree_names_every_module() -> None:
    """A file that is not in the tree has no place in the house."""
    tree = README.split("gateway/                the front door")[1].split("```")[0]
    words = set(re.findall(r"[a-z0-9_]+", tree))
    for path in (*ROOT.glob("gateway/**/*.py"), *ROOT.glob("voice_agent/**/*.py"), *ROOT.glob("sleeptime/*.py")):
        if path.stem not in ("__init__", "__main__"):
            assert path.stem in words or _spoken_for(path, words), path


def _spoken_for(path: Path, words: set[str]) -> bool:
    """Small pieces of a folder whose line names their whole."""
    wholes = {"chat_completions", "anthropic_messages", "openai_responses", "simulated", "bench"}
    return path.parent.name in wholes & words
