"""The benchmark of tool calls and runs comes to its end over real processes, and has all its figures."""

from pathlib import Path

from benchmarks.tool_calls import measure


async def test_tool_calls_and_runs_are_measured(tmp_path: Path) -> None:
    """Each twice; nothing takes less than no time."""
    figures = await measure(tmp_path, 2, 2)
    assert [(figure.limit, figure.over) for figure in figures] == [(limit, False) for limit in (15, 15, 2, 2, 1.05)]
    assert all(figure.value > 0 for figure in figures)
