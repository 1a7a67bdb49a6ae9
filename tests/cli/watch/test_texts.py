"""Watched runs and their changes as texts."""

import json
from datetime import timedelta
from typing import Any

import pytest

from fielding_async.cli.shared.value_texts import progress_text
from fielding_async.cli.watch.runs import Change, differences
from fielding_async.cli.watch.texts import (
    change_line,
    change_object,
    changed_text,
    counts_text,
    short_time,
    time_left_text,
)

from .watched import NOW, ref, watched_run


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({}, "412 of 1,000"),
        ({"progress": 0, "goal": 1}, "0 of 1"),
        ({"goal": None}, "412"),
        ({"progress": None}, ""),
    ],
)
def test_progress(values: dict[str, Any], shown: str) -> None:
    """Completes and goal, as far as they are known."""
    run = watched_run(**values)
    assert progress_text(run.progress, run.goal) == shown


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({}, "12 d 03 h"),
        ({"end": NOW + timedelta(hours=47, minutes=59)}, "47 h 59 min"),
        ({"end": NOW + timedelta(seconds=59)}, "59 s"),
        ({"end": NOW}, "end is past"),
        ({"status": "paused"}, "12 d 03 h"),
        ({"status": "a newer one"}, "12 d 03 h"),
        ({"status": "completed"}, ""),
        ({"status": "scheduled", "start": NOW + timedelta(days=2)}, "in 2 d 00 h"),
        ({"status": "scheduled"}, "start is past"),
    ],
)
def test_time_left(values: dict[str, Any], shown: str) -> None:
    """To the end of a run, or to its start; a completed one has none."""
    assert time_left_text(watched_run(**values), NOW) == shown


def test_a_time_has_a_date_only_where_it_needs_one() -> None:
    """Today hours and minutes are enough."""
    times = [NOW, NOW - timedelta(days=1), NOW - timedelta(days=365)]
    assert [short_time(time, NOW) for time in times] == ["12:00", "05-16 12:00", "2030-05-17 12:00"]


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({}, "11:00 by alice@example.com"),
        ({"changed_by": None}, "11:00"),
        ({"changed_at": None}, "by alice@example.com"),
        ({"changed_at": None, "changed_by": None}, ""),
        ({"changed_by": "\x1b[31mred"}, "11:00 by \\x1b[31mred"),
    ],
)
def test_who_changed_it_last(values: dict[str, Any], shown: str) -> None:
    """When and by whom, as far as the server says, with nothing that could control a terminal."""
    assert changed_text(watched_run(**values), NOW) == shown


def test_counts_name_every_status() -> None:
    """Also one that this version does not know; the order is that of the table."""
    statuses = ["completed", "live", "new one", "paused", "live"]
    assert counts_text(watched_run(status=status) for status in statuses) == (
        "5 runs: 2 live, 1 paused, 1 completed, 1 new one"
    )
    assert (counts_text([]), counts_text([watched_run()])) == ("0 runs", "1 run: 1 live")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"status": "paused"}, "live -> paused, last changed by bob"),
        ({"end": NOW}, "end 2031-05-29T15:00:00Z -> 2031-05-17T12:00:00Z, last changed by bob"),
        ({"progress": 1430, "goal": 2000}, "progress 412 -> 1,430, goal 1,000 -> 2,000, last changed by bob"),
        ({"progress": 413}, "progress 412 -> 413"),
        ({"progress": None}, "progress 412 -> not known"),
        ({"name": "\x1b]0;x"}, "name Group 1 -> \\x1b]0;x, last changed by bob"),
    ],
)
def test_a_change_is_one_line(values: dict[str, Any], said: str) -> None:
    """When it was seen, which run, from what to what, and by whom; a complete names nobody."""
    before, after = watched_run(), watched_run(changed_by="bob", **values)
    change = Change(kind="changed", run=after, values=differences(before, after))
    line = change_line(change, NOW)
    assert line.startswith(f"2031-05-17T12:00:00Z {ref(1)} ")
    assert line.endswith(f": {said}")
    assert line.isprintable()


def test_runs_that_appear_and_leave_are_lines_too() -> None:
    """With all that is known of a new one."""
    new, gone = (change_line(Change(kind=kind, run=watched_run(), values={}), NOW) for kind in ("new", "gone"))
    assert new == f"2031-05-17T12:00:00Z {ref(1)} 'Group 1': live, 412 of 1,000, end 2031-05-29T15:00:00Z"
    assert gone == f"2031-05-17T12:00:00Z {ref(1)} 'Group 1': no longer among the runs of the project"


def test_a_change_is_a_json_object() -> None:
    """It has the run as it is, and the values that are different as they were, under the same names."""
    before = watched_run()
    after = watched_run(status="paused", progress=420, end=NOW)
    change = change_object(Change(kind="changed", run=after, values=differences(before, after)), NOW)
    assert json.loads(json.dumps(change)) == change
    assert (change["kind"], change["change"], change["ref"]) == ("change", "changed", str(ref(1)))
    assert change["before"] == {"status": "live", "end_fielding_at": "2031-05-29T15:00:00.000Z", "progress": 412}
    assert change["before"].keys() <= change.keys()
    assert (change["status"], change["progress"], change["filling_goal"]) == ("paused", 420, 1000)
