"""The supervisor, over real processes: small scripts stand for the gateway and the worker."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

from gateway.supervisor import Child, Pace, Supervisor
from voice_agent.clock import SystemClock

# A child that appends what happens to it to a log file: its name and "up", then "down" when it is told to stop.
STEADY = """
import os, signal, sys
from voice_agent import lifeline
name, log = sys.argv[1:3]
def say(word):
    with open(log, "a") as file: file.write(f"{name} {word} {os.getpid()} {os.getsid(0)}\\n")
def stop(*_):
    say("down"); sys.exit(0)
signal.signal(signal.SIGTERM, stop)
lifeline.follow(int(sys.argv[-1]))
say("up")
while True: signal.pause()
"""
DEAF = STEADY.replace('say("down"); sys.exit(0)', "pass")
QUICK = Pace(first_s=0.01, most_s=0.05, steady_s=10)
SUPERVISOR = """
import asyncio, sys
from gateway.supervisor import Child, Supervisor
from voice_agent.clock import SystemClock
script, log = sys.argv[1:3]
names = ["gateway", "worker"]
children = [Child(name, (sys.executable, "-c", script, name, log), 5) for name in names]
asyncio.run(Supervisor(children, SystemClock()).run())
"""


def _child(script: str, name: str, log: Path, grace_s: float = 5) -> Child:
    return Child(name, (sys.executable, "-c", script, name, str(log)), grace_s)


def _events(log: Path) -> list[list[str]]:
    return [line.split() for line in log.read_text().splitlines()] if log.exists() else []


async def _until(log: Path, count: int) -> list[list[str]]:
    """The log once it has `count` lines; the deadline is the test's own."""
    async with asyncio.timeout(20):
        while len(events := _events(log)) < count:
            await asyncio.sleep(0)
    return events


async def test_children_stop_in_order_and_each_has_a_session_of_its_own(tmp_path: Path) -> None:
    """The second child hears of the end only when the first is gone."""
    log = tmp_path / "log"
    supervisor = Supervisor([_child(STEADY, name, log) for name in ("a", "b", "c")], SystemClock())
    async with asyncio.TaskGroup() as group:
        running = group.create_task(supervisor.run())
        started = await _until(log, 3)
        supervisor.stop()
    assert running.result() == 0
    assert [event[0] for event in _events(log)[3:]] == ["a", "b", "c"]
    assert all(pid == session for _, _, pid, session in started)


async def test_a_child_that_takes_another_s_place_is_told(tmp_path: Path) -> None:
    """From the second start on its command has the words that say so."""
    log = tmp_path / "log"
    script = "import sys; print(sys.argv[1:-2], file=open(sys.argv[1], 'a'))"
    child = Child("a", (sys.executable, "-c", script, str(log)), 5, ("--again",))
    supervisor = Supervisor([child], SystemClock(), QUICK)
    async with asyncio.TaskGroup() as group:
        group.create_task(supervisor.run())
        events = await _until(log, 3)
        supervisor.stop()
    assert ["'--again']" in words for words in events[:3]] == [False, True, True]


async def test_a_child_that_dies_is_started_again_alone(tmp_path: Path) -> None:
    """Killed three times, it comes back three times, and its neighbour never notices."""
    log = tmp_path / "log"
    supervisor = Supervisor([_child(STEADY, "a", log), _child(STEADY, "b", log)], SystemClock(), QUICK)
    async with asyncio.TaskGroup() as group:
        group.create_task(supervisor.run())
        for round_ in range(3):
            events = await _until(log, 2 + round_)
            os.kill(int([pid for name, _, pid, _ in events if name == "a"][-1]), signal.SIGKILL)
        events = await _until(log, 5)
        supervisor.stop()
    assert sorted(event[0] for event in events) == ["a", "a", "a", "a", "b"]
    assert len({event[2] for event in events}) == 5


async def test_a_configuration_error_at_the_first_start_ends_everything(tmp_path: Path) -> None:
    """Exit code 2 is handed on, the bad child was started once, and the good one is stopped in its ordinary way."""
    log = tmp_path / "log"
    wrong = "import sys; open(sys.argv[2], 'a').write('wrong up 0 0\\n'); sys.exit(2)"
    code = await Supervisor([_child(wrong, "a", log), _child(STEADY, "b", log)], SystemClock(), QUICK).run()
    assert code == 2
    assert [event[0] for event in _events(log)].count("wrong") == 1


async def test_exit_code_2_of_a_later_start_is_only_another_death(tmp_path: Path) -> None:
    """A child that once ran is started again whatever its code."""
    log = tmp_path / "log"
    script = (
        "import sys; f = open(sys.argv[2], 'a'); first = f.tell() == 0; f.write('a up 0 0\\n'); f.close()\n"
        "sys.exit(1 if first else 2)"
    )
    supervisor = Supervisor([_child(script, "a", log)], SystemClock(), QUICK)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(supervisor.run())
        await _until(log, 4)
        supervisor.stop()
    assert running.result() == 0


async def test_a_child_that_does_not_stop_is_killed_after_its_grace(tmp_path: Path) -> None:
    """A deaf first child delays the second one's stop by its grace and no more."""
    log = tmp_path / "log"
    supervisor = Supervisor([_child(DEAF, "a", log, 0.1), _child(STEADY, "b", log)], SystemClock())
    async with asyncio.TaskGroup() as group:
        group.create_task(supervisor.run())
        started = await _until(log, 2)
        supervisor.stop()
    assert not any(_alive(int(pid)) for _, _, pid, _ in started)
    assert [event[:2] for event in _events(log)[2:]] == [["b", "down"]]


async def test_asked_twice_it_kills_at_once(tmp_path: Path) -> None:
    """The second request does not wait for a deaf child's grace."""
    log = tmp_path / "log"
    supervisor = Supervisor([_child(DEAF, "a", log, 600)], SystemClock())
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(supervisor.run())
        await _until(log, 1)
        supervisor.stop()
        await asyncio.sleep(0)
        supervisor.stop()


async def test_a_killed_supervisor_leaves_nobody_behind(tmp_path: Path) -> None:
    """After SIGKILL the children see the end of their lifeline and go."""
    log = tmp_path / "log"
    supervisor = await asyncio.create_subprocess_exec(sys.executable, "-c", SUPERVISOR, STEADY, str(log), stdout=PIPE)
    started = await _until(log, 2)
    supervisor.kill()
    await supervisor.wait()
    async with asyncio.timeout(10):
        while any(_alive(int(pid)) for _, _, pid, _ in started):
            await asyncio.sleep(0)
    assert sorted(event[:2] for event in _events(log)[2:]) == [["gateway", "down"], ["worker", "down"]]


def test_the_delay_grows_and_starts_over_after_a_steady_life() -> None:
    """0.2, 0.4 … up to the most; a child that lived long enough begins anew."""
    pace = Pace()
    delays = [0.0]
    for _ in range(8):
        delays.append(pace.after(delays[-1], lived_s=1))
    assert delays[1:] == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10]
    assert pace.after(10, lived_s=10) == 0.2


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # it went meanwhile, or the system has no /proc
        return not Path("/proc").is_dir()
    return state != "Z"  # an orphan that init has not reaped yet is dead all the same
