"""Where a turn's milliseconds go."""

from voice_agent.messages import Part
from voice_agent.stopwatch import Stopwatch


def test_time_moves_from_one_part_to_another() -> None:
    """And never more of it than there was, so that the parts still add up."""
    watch = Stopwatch(10.0)
    watch.lap("queue", 10.5)
    watch.lap("provider", 12.5)
    watch.move("provider", "provider:hedge", 0.5)
    watch.move("provider", "provider:retry", 9.0)
    watch.move("tool:x", "provider:hedge", 1.0)
    made = watch.read()
    assert made.parts == (
        Part("queue", 500.0),
        Part("provider", 0.0),
        Part("provider:hedge", 500.0),
        Part("provider:retry", 1500.0),
    )
    assert sum(part.ms for part in made.parts) == made.total == 2500.0
