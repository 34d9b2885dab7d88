"""Where a turn's milliseconds go."""

from hypothesis import given
from hypothesis import strategies as st

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


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 3)), max_size=40), st.floats(0, 1e7))
def test_parts_add_up_to_the_microsecond(laps: list[tuple[str, float]], started: float) -> None:
    """However odd the moments are: no part is rounded by itself."""
    watch, now = Stopwatch(started), started
    for name, lasted in laps:
        now += lasted
        watch.lap(name, now)
    made = watch.read()
    assert sum(round(part.ms * 1000) for part in made.parts) == round(made.total * 1000)
    assert abs(made.total - (now - started) * 1000) < 0.002
    assert made.gateway == 0.0


def test_a_clock_that_stands_still_or_goes_back_takes_nothing_away() -> None:
    """What has been counted stays counted."""
    watch = Stopwatch(10.0)
    watch.lap("queue", 10.5)
    watch.lap("provider", 10.5)
    watch.lap("gateway", 10.2)
    watch.lap("provider", 10.7)
    assert watch.read().parts == (Part("queue", 500.0), Part("provider", 200.0))


def test_what_comes_after_the_last_lap_gets_a_name_too() -> None:
    """What is missing until now goes to one part, old or new; nothing is missing from a turn that took longer."""
    watch = Stopwatch(10.0)
    watch.lap("gateway", 10.25)
    watch.lap("provider", 11.0)
    made = watch.read().until(1.5, "gateway").until(2.0, "store").until(1.0, "store")
    assert made.parts == (Part("gateway", 750.0), Part("provider", 750.0), Part("store", 500.0))
    assert (made.gateway, made.total) == (750.0, 2000.0)
