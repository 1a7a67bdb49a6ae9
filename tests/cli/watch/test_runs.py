"""The differences between two states of a project."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fielding_async.cli.watch.runs import Watched, WatchedRun, differences

from .watched import NOW, ref, watched_run


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "paused"),
        ("status", "a newer status"),
        ("start", NOW),
        ("end", NOW + timedelta(milliseconds=1)),
        ("progress", 413),
        ("progress", None),
        ("goal", 900),
        ("name", "Another name"),
    ],
)
def test_each_value_that_is_shown_is_compared(name: str, value: Any) -> None:
    """One difference is one entry, from what to what."""
    before = watched_run()
    assert differences(before, watched_run(**{name: value})) == {name: (getattr(before, name), value)}


def test_a_write_that_changed_nothing_is_no_change() -> None:
    """Only who changed the run last is another."""
    assert differences(watched_run(), watched_run(changed_by="bob", changed_at=NOW)) == {}


def test_runs_appear_change_and_leave() -> None:
    """The first sweep finds, the next ones tell what is different; a run that a whole sweep did not see is gone."""
    watched = Watched()
    watched.begin_sweep()
    assert [watched.see(watched_run(number)).kind for number in (1, 2)] == ["new", "new"]  # type: ignore[union-attr]
    assert watched.end_sweep() == []
    watched.begin_sweep()
    assert watched.see(watched_run(1)) is None
    change = watched.see(watched_run(3, status="paused"))
    assert (change.kind, change.run.ref) == ("new", ref(3))  # type: ignore[union-attr]
    (gone,) = watched.end_sweep()
    assert (gone.kind, gone.run.ref, watched.sweeps) == ("gone", ref(2), 2)
    assert list(watched.runs) == [ref(1), ref(3)]


def test_a_sweep_that_did_not_end_takes_no_run_away() -> None:
    """What an outage kept from being read is still shown, and what was read before it is new."""
    watched = Watched()
    watched.begin_sweep()
    for number in (1, 2):
        watched.see(watched_run(number))
    watched.end_sweep()
    watched.begin_sweep()
    assert watched.see(watched_run(1, status="paused")) is not None
    watched.begin_sweep()  # the one before was cut
    watched.see(watched_run(2))
    assert watched.runs[ref(1)].status == "paused"
    assert [change.run.ref for change in watched.end_sweep()] == [ref(1)]


_SWEEPS = st.lists(st.dictionaries(st.integers(0, 5), st.sampled_from(["live", "paused"]), max_size=6), max_size=6)


@given(_SWEEPS)
def test_the_changes_told_lead_from_one_state_to_the_next(sweeps: list[dict[int, str]]) -> None:
    """Whoever follows the changes alone has, after each sweep, what was last seen."""
    watched, followed = Watched(), dict[int, str]()
    for sweep in sweeps:
        watched.begin_sweep()
        told = [watched.see(watched_run(number, status=status)) for number, status in sweep.items()]
        for change in [*filter(None, told), *watched.end_sweep()]:
            number = _number(change.run)
            if change.kind == "gone":
                del followed[number]
            else:
                assert (change.kind == "new") == (number not in followed)
                if change.kind == "changed":
                    assert change.values == {"status": (followed[number], change.run.status)}
                followed[number] = change.run.status
        assert followed == sweep
        assert {_number(run): run.status for run in watched.runs.values()} == sweep


def _number(run: WatchedRun) -> int:
    return int(run.ref.fielding_run_id.removeprefix("RUN-"))
