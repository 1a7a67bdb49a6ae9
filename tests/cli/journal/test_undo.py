"""`fielding journal undo`, and its plan applied: what a plan did is taken back, and what somebody else wrote stands."""

import csv
import json
import os
import stat
import subprocess
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from fielding_async import FieldingRun, RunRef, journal_rows
from fielding_async.cli.shared.plan.row import COLUMNS, IF_MATCH
from fielding_async.core.actions import PREVIOUS, Action, Complete, Pause, Resume, Update
from fielding_async.journal.held_file import held
from fielding_async.sandbox import Cut, Fault, Sandbox, SecondWriter
from tests.cli.apply.plans import CLOSING, Row, apply, write_plan
from tests.cli.command_line import SECRET, Cli, command, environment
from tests.cli.journal.conftest import Applied

pytestmark = pytest.mark.once

JOURNAL = "plan.csv.journal"
UNDO = "plan.undo.csv"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the command is given in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def state(run: FieldingRun) -> tuple[object, ...]:
    """Return what an undo gives back to a run."""
    return run.status, run.start_fielding_at, run.end_fielding_at


def written(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_the_plan_and_the_list_make_up_the_journal(applied: Applied, cli: Cli, box: Sandbox) -> None:
    """Each row is in the plan, in reverse order, or listed with its reason; the table says the same."""
    before = len(box.requests)
    told = cli("journal", "undo", JOURNAL, "--json")
    assert told.status == 0
    *listed, summary = told.objects
    plan = written(applied.journal.with_name(UNDO))
    live, dated = applied.rows[0][0], applied.rows[1][0]
    assert [(row["fielding_run_id"], row["action"]) for row in plan] == [
        (live.fielding_run_id, "pause"),
        (dated.fielding_run_id, "update"),
        (live.fielding_run_id, "resume"),
    ]
    assert [row[IF_MATCH] for row in plan] == [box.inspect(live).etag, box.inspect(dated).etag, PREVIOUS]
    assert list(plan[0]) == [*COLUMNS, IF_MATCH]
    assert [(row["number"], row["action"]) for row in listed] == [(2, "pause"), (3, "pause"), (4, "resume")]
    assert "already" in listed[0]["reason"]
    assert "skipped" in listed[2]["reason"]
    assert (summary["rows"], summary["undone"], summary["not_undone"]) == (6, 3, 3)
    assert summary["apply"] == f"fielding apply {UNDO}"
    assert summary["is_whole"]
    assert stat.S_IMODE(Path(UNDO).stat().st_mode) == 0o600
    assert len(box.requests) == before
    shown = cli("journal", "undo", JOURNAL, "--output", "other.csv")
    assert shown.status == 0
    assert "of 6 rows 3 can be taken back, 3 cannot" in shown.out
    assert "fielding apply other.csv" in shown.out
    assert all(f"no. {number}" in shown.out for number in (2, 3, 4))


def test_nothing_that_is_there_is_replaced(applied: Applied, cli: Cli) -> None:
    """An older plan stays as it is, and so does what a link leads to; the command says what to do."""
    path = applied.journal.with_name(UNDO)
    path.write_text("older")
    told = cli("journal", "undo", JOURNAL)
    assert told.status == 2
    assert "--output" in told.err
    assert path.read_text() == "older"
    path.unlink()
    path.symlink_to("elsewhere.csv")
    assert cli("journal", "undo", JOURNAL).status == 2
    assert not path.with_name("elsewhere.csv").exists()
    told = cli("journal", "undo", JOURNAL, "--output", "nowhere/plan.csv")
    assert told.status == 1
    assert "nowhere" in told.err


def test_a_journal_in_use_is_refused(applied: Applied, cli: Cli) -> None:
    """A batch may still add to what there is to take back."""
    with held(applied.journal):
        told = cli("journal", "undo", JOURNAL)
    assert told.status == 2
    assert "in use" in told.err
    assert not applied.journal.with_name(UNDO).exists()
    assert cli("journal", "undo", JOURNAL).status == 0


def test_an_unfinished_plan_is_refused(box: Sandbox, cli: Cli, folder: Path) -> None:
    """Rows that were never sent may still be: the command says how many, and what to do first."""
    rows: list[Row] = [(box.add_run("live"), Pause()) for _ in range(3)]
    rows.insert(1, (box.add_run("completed"), Pause()))
    write_plan(folder / "plan.csv", rows)
    assert cli("apply", "plan.csv", "--yes", "--concurrency", 1, "--fail-fast").status == 1
    told = cli("journal", "undo", JOURNAL)
    assert told.status == 2
    assert "2 never sent" in told.err
    assert "fielding apply plan.csv" in told.err
    (folder / "plan.csv").rename(folder / "gone.csv")
    told = cli("journal", "undo", JOURNAL)
    assert told.status == 0
    assert "so it is not known whether rows of it were never sent (name it with --plan)" in told.out


def test_a_plan_that_is_elsewhere_is_named(box: Sandbox, cli: Cli, folder: Path) -> None:
    """Then rows that were never sent are seen; another plan is refused, whatever is missing in it."""
    rows: list[Row] = [(box.add_run("completed"), Pause()), *((box.add_run("live"), Pause()) for _ in range(3))]
    text = write_plan(folder / "other.csv", rows).read_text()
    lines = [line.partition(",")[2] for line in text.splitlines()]  # without the accounts
    (folder / "there.csv").write_text("\n".join(lines))
    options = ("there.csv", "--yes", "--journal", JOURNAL, "--account", 101)
    assert cli("apply", *options, "--concurrency", 1, "--fail-fast").status == 1
    told = cli("journal", "undo", JOURNAL, "--plan", "there.csv")
    assert told.status == 2
    assert "3 never sent" in told.err
    assert "with the command that started it\n" in told.err
    for name in ("nothing.csv", JOURNAL):
        told = cli("journal", "undo", JOURNAL, "--plan", name)
        assert told.status == 2
        assert f"--plan {name}: is not the plan of {JOURNAL}" in told.err
    assert cli("apply", *options).status == 1
    told = cli("journal", "undo", JOURNAL, "--plan", "there.csv", "--json")
    assert told.status == 0
    assert told.objects[-1]["is_whole"]
    assert told.objects[-1]["undone"] == 3


def test_nothing_to_take_back_writes_nothing(box: Sandbox, cli: Cli, folder: Path) -> None:
    """A script does not go on to apply a plan that is not there."""
    write_plan(folder / "plan.csv", [(box.add_run("live"), Complete())])
    assert cli("apply", "plan.csv", "--yes").status == 0
    told = cli("journal", "undo", JOURNAL)
    assert told.status == 1
    assert "nothing was written" in told.out
    assert "a complete cannot be taken back" in " ".join(told.out.split())
    assert not (folder / UNDO).exists()


@pytest.mark.parametrize("name", ["plan.csv", "nothing.journal"])
def test_what_is_no_journal_is_refused(applied: Applied, cli: Cli, name: str) -> None:
    """With its name."""
    told = cli("journal", "undo", name)
    assert told.status == 2
    assert name in told.err


def test_a_plan_is_taken_back_and_a_colleague_stands(box: Sandbox, cli: Cli, folder: Path) -> None:
    """Untouched runs have their former status and dates; every other row is refused or listed; the counts add up."""
    rows, former = story(box, Random(3), 60)
    write_plan(folder / "plan.csv", rows)
    cli("apply", "plan.csv", "--yes")
    touched = colleague(box, Random(4), list(former))
    told = cli("journal", "undo", JOURNAL, "--json")
    assert told.status == 0
    *listed, summary = told.objects
    assert summary["undone"] + summary["not_undone"] == len(rows)
    applied = cli("apply", UNDO, "--yes", "--json")
    assert applied.status == 1
    check(box, rows, former, touched, listed, summary, applied.objects)
    again = cli("apply", UNDO, "--yes", "--json")
    assert again.objects[-1]["done"] == applied.objects[-1]["done"]
    failed = written(folder / "plan.undo.failed.csv")
    assert len(failed) == applied.objects[-1]["failed"] + applied.objects[-1]["skipped"]
    assert all(row[IF_MATCH] for row in failed)
    assert {row[IF_MATCH] == PREVIOUS for row in failed} == {True, False}
    retried = cli("apply", "plan.undo.failed.csv", "--yes", "--json")
    assert retried.objects[-1]["done"] == 0, "what was refused is refused again, and overwrites nothing"


def test_what_a_colleague_wrote_between_two_rows_stands(box: Sandbox, cli: Cli, folder: Path) -> None:
    """Only the row after the colleague's write is taken back; the one before it is listed with the reason."""
    ref = box.add_run("live")
    first = box.inspect(ref).end_fielding_at + timedelta(days=1)
    theirs = first + timedelta(days=2)
    write_plan(folder / "plan.csv", [(ref, Update(end_fielding_at=first)), (ref, Update(end_fielding_at=CLOSING))])
    box.script(SecondWriter(end_fielding_at=theirs, when="after"), on="update")
    assert cli("apply", "plan.csv", "--yes").status == 0
    assert [write.operation for write in box.history] == ["update", "touch", "update"]
    told = cli("journal", "undo", JOURNAL, "--json")
    assert told.status == 0
    assert [(row["number"], "somebody else" in row["reason"]) for row in told.objects[:-1]] == [(0, True)]
    assert cli("apply", UNDO, "--yes").status == 0
    assert box.inspect(ref).end_fielding_at == theirs


def story(box: Sandbox, dice: Random, runs: int) -> tuple[list[Row], dict[RunRef, FieldingRun]]:
    """Return a plan of pauses and dates over some runs, a few of whose rows are not accepted; and the runs as now."""
    rows: list[Row] = []
    former: dict[RunRef, FieldingRun] = {}
    kinds: list[tuple[str, list[Action]]] = [
        ("live", [Pause()]),
        ("live", [Update(end_fielding_at=CLOSING)]),
        ("live", [Pause(), Update(end_fielding_at=CLOSING), Resume()]),
        ("paused", [Update(end_fielding_at=CLOSING), Resume()]),
        ("paused", [Pause(), Resume()]),  # the first is there already
        ("live", [Update(end_fielding_at=CLOSING), Complete()]),  # the last cannot be taken back
    ]
    for number in range(runs):
        status, actions = kinds[number % len(kinds)]
        ref = box.add_run(status)
        former[ref] = box.inspect(ref)
        rows += [(ref, action) for action in actions]
    places = list(range(len(rows)))
    dice.shuffle(places)
    by_run: dict[RunRef, list[Row]] = {}
    for row in rows:
        by_run.setdefault(row[0], []).append(row)
    return [by_run[rows[place][0]].pop(0) for place in places], former


def colleague(box: Sandbox, dice: Random, refs: Sequence[RunRef]) -> dict[RunRef, FieldingRun]:
    """Write to some runs as another user; return these as they are now."""
    touched: dict[RunRef, FieldingRun] = {}
    for ref in refs:
        if dice.random() < 0.3:
            touched[ref] = box.touch(ref, status=dice.choice([None, "live", "paused"]))
    return touched


def check(
    box: Sandbox,
    rows: Sequence[Row],
    former: dict[RunRef, FieldingRun],
    touched: dict[RunRef, FieldingRun],
    listed: list[dict[str, Any]],
    summary: dict[str, Any],
    objects: list[dict[str, Any]],
) -> None:
    """Hold an undo that was applied against the sandbox."""
    end = objects[-1]
    bad = {row["ref"] for row in objects if row["kind"] == "row"}
    not_undone = {row["ref"] for row in listed}
    assert end["rows"] == summary["undone"]
    assert end["done"] + end["failed"] + end["unknown"] + end["skipped"] == summary["undone"]
    assert end["done"] + end["failed"] + end["unknown"] + end["skipped"] + len(listed) == len(rows)
    for ref, before in former.items():
        now = box.inspect(ref)
        if ref in touched:
            assert now == touched[ref], "what a colleague wrote stands"
            assert str(ref) in bad | not_undone
        elif str(ref) not in bad | not_undone:
            assert state(now) == state(before)
    assert {str(ref) for ref in former} > bad | not_undone


SLOW = int(os.environ.get("FIELDING_APPLY_ROWS", "300"))
KILLS = int(os.environ.get("FIELDING_APPLY_KILLS", "3"))


@pytest.mark.slow
@pytest.mark.once
def test_an_undo_killed_and_with_lost_replies_overwrites_nothing(tmp_path: Path) -> None:
    """With SIGKILLs, lost replies and a colleague: no row is applied twice, and no colleague's write is changed.

    A run that is neither among the bad rows nor listed has its former status and dates. Such is every run whose rows
    were all accepted, unless the reply to a row of the undo was lost, by a fault or a SIGKILL: then the row is
    unconfirmed, and the next one of its run is refused.
    """
    dice = Random(7)
    with Sandbox(require_token=SECRET, seed=7) as box:
        env = environment(box)
        rows, former = story(box, dice, SLOW // 2)
        plan = write_plan(tmp_path / "plan.csv", rows)
        died = kill_again_and_again(box, plan, env, dice, len(rows))
        apply(plan, env)
        touched = colleague(box, dice, list(former))
        words = command("journal", "undo", tmp_path / JOURNAL, "--json")
        told = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
        *listed, summary = (json.loads(line) for line in told.stdout.splitlines())
        faulted: set[RunRef] = set()
        for ref in former:
            if ref not in touched and dice.random() < 0.1:
                faulted.add(ref)
                faults: list[tuple[Fault, ...]] = [
                    (Cut("before"),),
                    (Cut("after"),),
                    (Cut("after"), SecondWriter(when="after")),
                ]
                fault = dice.choice(faults)
                box.script(fault, on=dice.choice(["pause", "resume", "update"]), ref=ref)
        undo, earlier = tmp_path / UNDO, len(box.history)
        died += kill_again_and_again(box, undo, env, dice, summary["undone"])
        found = apply(undo, env)
        ours = [(write.ref, write.operation) for write in box.history[earlier:] if write.by == "client"]
        assert len(ours) == len(set(ours)), "no row was applied twice"
        by_others = {write.ref for write in box.history[earlier:] if write.by != "client"}
        assert died >= KILLS
        assert found.counts[4:] == (0, 0)
        assert sum(found.counts) + len(listed) == len(rows)
        lines = undo.read_text(encoding="utf-8-sig").splitlines()
        bad = {tuple(lines[line - 1].split(",")[:4]) for line in found.bad}
        not_undone = {row["ref"] for row in listed}
        lost = {row.ref for row in journal_rows(tmp_path / f"{UNDO}.journal", all=True) if row.effect == "unconfirmed"}
        restored = 0
        for ref, before in former.items():
            now = box.inspect(ref)
            is_reported = tuple(str(ref).split("/")) in bad or str(ref) in not_undone
            if ref in touched:
                assert now == touched[ref]
            elif not is_reported and ref not in by_others:
                assert state(now) == state(before)
                restored += 1
            else:
                assert ref in faulted | lost or str(ref) in not_undone
        box.clear_faults()
        print(f"\n{len(rows)} rows, {died} kills: {summary['undone']} undone, {restored} restored, {found.counts}")


def kill_again_and_again(box: Sandbox, plan: Path, env: dict[str, str], dice: Random, rows: int) -> int:
    """Apply a plan, and kill it at random moments of its first half. Return how many processes died."""
    died, earlier = 0, len(box.history)
    for part in sorted(dice.uniform(0.05, 0.55) for _ in range(KILLS)):
        mark = earlier + int(part * rows)
        words, quiet = command("apply", plan, "--yes"), subprocess.DEVNULL
        with subprocess.Popen(words, env=env, stdout=quiet, stderr=quiet) as child:
            until = time.monotonic() + 600
            while len(box.history) < mark and child.poll() is None and time.monotonic() < until:
                time.sleep(0.01)
            time.sleep(dice.uniform(0, 0.1))  # the moment is to be any: this decides nothing
            child.kill()
            died += child.wait() < 0
    return died


def test_a_colleague_who_wrote_to_every_run_stops_nothing(box: Sandbox, cli: Cli, folder: Path) -> None:
    """Row after row is refused, each for itself: that is no outage, and all are told of."""
    rows: list[Row] = [(box.add_run("live"), Pause()) for _ in range(60)]
    write_plan(folder / "plan.csv", rows)
    assert cli("apply", "plan.csv", "--yes").status == 0
    touched = [box.touch(ref) for ref, _ in rows]
    assert cli("journal", "undo", JOURNAL).status == 0
    ended = cli("apply", UNDO, "--yes", "--json")
    assert ended.status == 1
    assert ended.objects[-1]["failed"] == 60
    assert [box.inspect(ref) for ref, _ in rows] == touched
    assert {row["error"] for row in ended.objects if row["kind"] == "row"} == {"PreconditionFailedError"}


def test_an_undo_is_undone(box: Sandbox, cli: Cli, folder: Path) -> None:
    """The plan of an undo has a journal like any other, so that it can be taken back in turn."""
    rows: list[Row] = [(box.add_run("live"), action) for action in (Pause(), Update(end_fielding_at=CLOSING))]
    rows.append((rows[0][0], Resume()))
    write_plan(folder / "plan.csv", rows)
    assert cli("apply", "plan.csv", "--yes").status == 0
    done = [state(box.inspect(ref)) for ref, _ in rows]
    assert cli("journal", "undo", JOURNAL).status == 0
    assert cli("apply", UNDO, "--yes").status == 0
    assert cli("journal", "undo", f"{UNDO}.journal").status == 0
    assert cli("apply", "plan.undo.undo.csv", "--yes").status == 0
    assert [state(box.inspect(ref)) for ref, _ in rows] == done


def test_an_etag_that_was_changed_is_another_plan(applied: Applied, cli: Cli) -> None:
    """The plan of an undo that was started is gone on with as it was, or not at all."""
    assert cli("journal", "undo", JOURNAL).status == 0
    assert cli("apply", UNDO, "--yes").status == 0
    path = applied.journal.with_name(UNDO)
    path.write_text(path.read_text(encoding="utf-8-sig").replace(PREVIOUS, '"W/""1"""'))
    told = cli("apply", UNDO, "--yes")
    assert told.status == 2
    assert "changed" in told.err
