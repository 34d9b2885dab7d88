"""From scores by words to an order: what else was measured to tell the passage that was meant from others like it."""

import numpy as np

from voice_agent.memory.lexical import Floats, Ints

_SESSION_SHARE = 0.2
_QUESTION_PENALTY = 0.1


def adjust(scores: Floats, sessions: Ints, questions: Floats) -> None:
    """Change scores above 0 in place: each gets a share of its session's best, and a question loses a little.

    `sessions` are each passage's session's number, `questions` 1 where it is a question: its answer is worth more.
    """
    hits = np.flatnonzero(scores)
    if not len(hits):
        return
    of = sessions[hits]
    finest = np.zeros(int(of.max()) + 1, np.float32)
    np.maximum.at(finest, of, scores[hits])
    scores[hits] = (scores[hits] + _SESSION_SHARE * finest[of]) * (1 - _QUESTION_PENALTY * questions[hits])


def best(scores: Floats, limit: int) -> list[int]:
    """Where the highest scores above 0 are, at most `limit`; the later of two equal ones first."""
    limit = min(limit, len(scores))
    if limit <= 0:
        return []
    least = np.partition(scores, -limit)[-limit]
    candidates = np.flatnonzero((scores >= least) & (scores > 0))
    return [int(entry) for entry in candidates[np.lexsort((-candidates, -scores[candidates]))][:limit]]
