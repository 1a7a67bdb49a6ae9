"""The screen of `fielding watch`, at any size."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from fielding_async.cli.watch.view import Situation, screen_lines

from .watched import NOW, PROJECT, watched_run

CALM = Situation(project=f"101/{PROJECT}", read_at=NOW - timedelta(seconds=12), next_at=NOW + timedelta(seconds=18))
RUNS = [
    watched_run(1, status="completed"),
    watched_run(2, status="live", name="A study with a very long name that no terminal of 80 columns has room for"),
    watched_run(3, status="paused", end=NOW + timedelta(hours=2)),
    watched_run(4, status="live", end=NOW + timedelta(minutes=30)),
    watched_run(5, status="newer"),
    watched_run(6, status="scheduled", start=NOW + timedelta(days=3)),
]


def shown(width: int = 80, height: int = 24, situation: Situation = CALM) -> list[str]:
    """The lines of the screen."""
    return [line.plain for line in screen_lines(RUNS, situation, NOW, width=width, height=height)]


def test_the_screen_of_80_columns() -> None:
    """Counts, state, and a row for each run: those that need attention first, each status by its end."""
    assert shown() == [
        f"101/{PROJECT}  6 runs: 2 live, 1 paused, 1 scheduled, 1",
        "completed, 1 newer",
        "read 12 s ago, again in 18 s",
        "Target group        Status         Progress   %    Time left  Changed (UTC)",
        "Group 4             live       412 of 1,000  41  30 min 00 s  11:00 by alice@ex…",
        "A study with a ve…  live       412 of 1,000  41    12 d 03 h  11:00 by alice@ex…",
        "Group 3             paused     412 of 1,000  41   2 h 00 min  11:00 by alice@ex…",
        "Group 6             scheduled  412 of 1,000  41  in 3 d 00 h  11:00 by alice@ex…",
        "Group 5             newer      412 of 1,000  41    12 d 03 h  11:00 by alice@ex…",
        "Group 1             completed  412 of 1,000  41               11:00 by alice@ex…",
    ]


def test_a_narrow_screen_keeps_status_and_time_left() -> None:
    """Who changed a run last gives way first, then its progress."""
    narrow = shown(60)
    assert "Status" in narrow[3]
    assert "Time left" in narrow[3]
    assert "Changed" not in narrow[3]


def test_a_wide_screen_has_the_ids() -> None:
    """And nothing is shortened."""
    wide = "\n".join(shown(200))
    assert "…" not in wide
    assert all(run.ref.target_group_id in wide for run in RUNS)


@pytest.mark.parametrize("height", [5, 6, 8, 10])
def test_runs_that_do_not_fit_are_counted(height: int) -> None:
    """The last line says how many more there are."""
    lines = shown(200, height)
    rows = [line for line in lines if "412 of 1,000" in line]
    assert len(lines) <= height
    assert len(rows) == 6 or lines[-1] == f"and {6 - len(rows)} more"


@given(st.integers(40, 200), st.integers(6, 40))
def test_the_screen_never_overflows(width: int, height: int) -> None:
    """Neither in width nor in height."""
    lines = shown(width, height)
    assert len(lines) <= height
    assert max(map(cell_len, lines)) <= width


def test_an_outage_is_shown_beside_what_was_last_seen() -> None:
    """Since when, why, and when it is tried again."""
    failing = Situation(
        project="101/P",
        read_at=NOW,
        next_at=NOW + timedelta(seconds=9),
        failing_since=NOW - timedelta(minutes=5),
        reason="TransportError: no route",
    )
    lines = shown(120, situation=failing)
    assert "for 5 min 00 s the runs cannot be read; next try in 9 s (TransportError: no route)" in lines
    assert sum("412 of 1,000" in line for line in lines) == 6


def test_the_first_reading_and_a_pause_are_shown() -> None:
    """While nothing was read there is no age; a pause by the server says how long it lasts."""
    assert "reading now; paused by the server, 30 s to go" in shown(situation=Situation(project="P", pause_left=30.2))
