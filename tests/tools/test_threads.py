"""The tools' threads: bounded, in order, and gone when there is nothing to do."""

import contextvars
import threading
from concurrent.futures import Future, wait

import pytest

from voice_agent.tools.threads import Threads

SPEAKER: contextvars.ContextVar[str] = contextvars.ContextVar("speaker", default="nobody")
PATIENCE_S = 10


def test_no_more_than_the_limit_run_at_once() -> None:
    """With two threads the third job begins only when one of the first two is done."""
    threads = Threads(limit=2)
    begun = [threading.Event() for _ in range(3)]
    release = [threading.Event() for _ in range(3)]

    def job(index: int) -> str:
        begun[index].set()
        assert release[index].wait(PATIENCE_S)
        return str(index)

    def submitted(index: int) -> "Future[str]":
        return threads.submit(lambda: job(index))

    futures = [submitted(index) for index in range(3)]
    assert begun[0].wait(PATIENCE_S)
    assert begun[1].wait(PATIENCE_S)
    assert not begun[2].is_set()
    release[0].set()
    assert begun[2].wait(PATIENCE_S)
    release[1].set()
    release[2].set()
    assert [future.result(PATIENCE_S) for future in futures] == ["0", "1", "2"]


def test_a_job_that_waits_can_be_cancelled_and_never_begins() -> None:
    """Cancelling is certain before the job has a thread, and impossible after."""
    threads = Threads(limit=1)
    begun, release, ran = threading.Event(), threading.Event(), threading.Event()

    def first() -> str:
        begun.set()
        assert release.wait(PATIENCE_S)
        return "first"

    def second() -> str:
        ran.set()
        return "second"

    one, two = threads.submit(first), threads.submit(second)
    assert begun.wait(PATIENCE_S)
    assert two.cancel()
    assert not one.cancel()
    release.set()
    assert one.result(PATIENCE_S) == "first"
    assert threads.submit(lambda: "third").result(PATIENCE_S) == "third"
    assert not ran.is_set()


def test_a_job_that_is_left_to_itself_makes_room() -> None:
    """For so many; one whose job ends goes away, and a job that has ended by then is not counted."""
    threads = Threads(limit=1, most_left=2)
    begun = [threading.Event() for _ in range(4)]
    release = threading.Event()

    def stuck(index: int) -> str:
        begun[index].set()
        assert release.wait(PATIENCE_S)
        return "late"

    def submitted(index: int) -> "Future[str]":
        return threads.submit(lambda: stuck(index))

    left = [submitted(index) for index in range(4)]
    for index in range(3):
        assert begun[index].wait(PATIENCE_S)
        threads.leave(left[index])
    assert not left[3].running()
    release.set()
    assert [future.result(PATIENCE_S) for future in left] == ["late"] * 4
    threads.leave(left[0])
    assert threads.submit(lambda: "last").result(PATIENCE_S) == "last"
    begun[0].clear()
    release.clear()
    again = submitted(0)
    assert begun[0].wait(PATIENCE_S)
    assert threads.submit(lambda: "no room").cancel()
    release.set()
    assert again.result(PATIENCE_S) == "late"


def test_a_job_that_finds_no_thread_is_not_run_later() -> None:
    """The one who submits it is told, and may try again."""
    threads, ran = Threads(limit=1), threading.Event()

    def refused() -> str:
        ran.set()
        return "late"

    before = threading.stack_size(1 << 46)
    try:
        with pytest.raises(RuntimeError):
            threads.submit(refused)
    finally:
        threading.stack_size(before)
    assert threads.submit(lambda: "fine").result(PATIENCE_S) == "fine"
    assert not ran.is_set()


def test_a_job_sees_the_caller_s_context_variables() -> None:
    """What a log line reads of its surroundings is the same in a thread."""
    token = SPEAKER.set("me")
    try:
        future = Threads().submit(SPEAKER.get)
    finally:
        SPEAKER.reset(token)
    assert future.result(PATIENCE_S) == "me"


@pytest.mark.parametrize(
    "fault", [ValueError("v"), SystemExit(3), KeyboardInterrupt(), StopIteration(), GeneratorExit()]
)
def test_whatever_is_raised_reaches_the_one_who_waits(fault: BaseException) -> None:
    """It arrives as an ordinary exception, and the thread goes on to the next job."""
    threads = Threads(limit=1)

    def job() -> str:
        raise fault

    failed, good = threads.submit(job), threads.submit(lambda: "good")
    wait([failed], PATIENCE_S)
    told = failed.exception()
    assert isinstance(told, Exception)
    assert type(fault).__name__ in repr(told)
    assert told.__traceback__ is not None
    assert good.result(PATIENCE_S) == "good"
