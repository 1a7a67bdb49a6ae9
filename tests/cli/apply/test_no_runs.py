"""`fielding apply` of a plan that names no runs: they are found once, put on record, and never looked for again."""

import json
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from fielding_async import journal_rows, read_journal
from fielding_async.core.actions import Action, Pause, Resume
from fielding_async.core.models import RunRef
from fielding_async.sandbox import Delay, Hold, Reply, Sandbox, SecondWriter, Status
from tests.cli.apply.plans import Row, apply, check_against_history, live, starting, write_plan, writes
from tests.cli.command_line import HANG, Cli, end_of, environment

HEADER = "account_id,project_id,target_group_id,action"
Group = tuple[int, str, str]


def group_of(ref: RunRef) -> Group:
    return ref.account_id, ref.project_id, ref.target_group_id


def write_groups(path: Path, rows: Sequence[tuple[Group, Action]], form: str = "columns") -> Path:
    """Write a plan that names the target groups of these rows, and no runs."""
    names = HEADER.split(",")
    cells = [[*map(str, group), action.name] for group, action in rows]
    if form == "json":
        lines = [json.dumps(dict(zip(names, row, strict=True))) for row in cells]
    elif form == "ref":
        lines = ["ref,action", *(f"{'/'.join(row[:3])},{row[3]}" for row in cells)]
    else:
        lines = [HEADER, *(",".join(row) for row in cells)]
    path.write_text("\n".join([*lines, ""]))
    return path


def plan_of(rows: Sequence[Row], path: Path, form: str = "columns") -> Path:
    return write_groups(path, [(group_of(ref), action) for ref, action in rows], form)


def lists(box: Sandbox) -> int:
    """How many target groups were asked for their runs."""
    return sum(request.operation == "list" for request in box.requests)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def runs_body(*refs: RunRef, box: Sandbox, **more: object) -> Reply:
    """A list of these runs, with `more` in each."""
    data: list[dict[str, object]] = []
    for ref in refs:
        run = box.inspect(ref)
        start, end = run.start_fielding_at.isoformat(), run.end_fielding_at.isoformat()
        dates = {"start_fielding_at": start, "end_fielding_at": end}
        data.append({"id": ref.fielding_run_id, "status": run.status, "version": 1, **dates, **more})
    return Reply(body=json.dumps({"data": data}).encode())


@pytest.mark.parametrize("form", ["columns", "json", "ref"])
def test_each_row_is_sent_to_the_run_of_its_target_group(box: Sandbox, cli: Cli, folder: Path, form: str) -> None:
    """Each target group is asked once, whatever it has rows for; rows of one run keep their order."""
    rows = live(box, 5)
    rows += [(ref, Resume()) for ref, _ in rows[:2]]
    plan_of(rows, folder / "plan.csv", form)
    ended = cli("apply", "plan.csv", "--yes")
    assert (ended.status, lists(box)) == (0, 5)
    assert "runs: 5, one for each target group, found now\n" in ended.err
    assert sorted((str(write.ref), write.operation) for write in box.history) == sorted(
        (str(ref), action.name) for ref, action in rows
    )
    assert [box.inspect(ref).status for ref, _ in rows[:5]] == ["live", "live", "paused", "paused", "paused"]
    assert read_journal("plan.csv.journal").resolved_runs == 5
    assert {(row.number, row.ref) for row in journal_rows("plan.csv.journal", all=True)} == {
        (number, ref) for number, (ref, _) in enumerate(rows)
    }


def test_the_plan_is_the_same_in_any_form_and_on_every_go(box: Sandbox, cli: Cli, folder: Path) -> None:
    """Its digest is over what it says; finished, it asks no target group again."""
    rows = live(box, 3)
    plan_of(rows, folder / "plan.csv")
    (told,) = cli("apply", "plan.csv", "--yes", "--json").objects
    assert (told["resolved_runs"], told["done"], told["sent_now"]) == (3, 3, 3)
    plan_of(rows, folder / "plan.csv", "json")
    (told,) = cli("apply", "plan.csv", "--yes", "--json").objects
    assert (told["resolved_runs"], told["ended_before"], told["sent_now"]) == (3, 3, 0)
    assert lists(box) == 3
    assert len(box.history) == 3


def test_a_dry_run_finds_them_and_writes_nothing(box: Sandbox, cli: Cli, folder: Path) -> None:
    """What it takes counts the GETs of the target groups."""
    plan_of([*live(box, 4)], folder / "plan.csv")
    dry = cli("apply", "plan.csv", "--dry-run", "--rate", 20)
    assert "runs: 4, one for each target group, found now\n" in dry.out
    assert "requests: about 12 (two GETs for each run, a write for each row; " in dry.out
    (told,) = cli("apply", "plan.csv", "--dry-run", "--json").objects
    assert (told["resolved_runs"], told["distinct_runs"], told["requests"]) == (4, 4, 12)
    assert files(folder) == ["plan.csv"]
    assert box.history == ()


@pytest.mark.parametrize("option", ["--yes", "--dry-run"])
def test_target_groups_without_a_run_are_named_by_line(box: Sandbox, cli: Cli, folder: Path, option: str) -> None:
    """Drafts, and ids that the exchange does not know: nothing is sent, and no journal is begun."""
    draft = box.add_draft()
    rows: list[tuple[Group, Action]] = [(group_of(ref), action) for ref, action in live(box, 3)]
    rows.insert(1, ((draft.account_id, draft.project_id, draft.target_group_id), Pause()))
    rows.append(((101, box.project_id, "9" * 26), Pause()))
    write_groups(folder / "plan.csv", rows)
    ended = cli("apply", "plan.csv", option)
    assert (ended.status, ended.out) == (2, "")
    assert "fielding: plan.csv: 2 of 5 lines are not right; nothing was sent\n" in ended.err
    assert (
        f"  line 3: target_group_id '{draft.target_group_id}' has no fielding run (a draft has none until it is"
        " launched): remove its rows, or launch it first\n"
    ) in ended.err
    assert f"  line 6: target_group_id '{'9' * 26}' is not known to the exchange: check the ids" in ended.err
    first, second, told = cli("apply", "plan.csv", option, "--json").objects
    assert [(bad["kind"], bad["line"]) for bad in (first, second)] == [("bad-line", 3), ("bad-line", 6)]
    assert (told["kind"], told["rows"], told["bad_lines"], told["exit_status"]) == ("plan", 3, 2, 2)
    assert files(folder) == ["plan.csv"]
    assert box.history == ()


def test_many_without_a_run_are_told_in_a_few_lines(box: Sandbox, cli: Cli, folder: Path) -> None:
    """As any bad lines."""
    write_groups(folder / "plan.csv", [((101, box.project_id, f"{number:026}"), Pause()) for number in range(30)])
    ended = cli("apply", "plan.csv", "--yes")
    assert ended.status == 2
    assert "  and 10 more; in all:\n       30 x target_group_id is not known to the exchange: " in ended.err
    assert "every one of them, as JSON: fielding apply plan.csv --dry-run --json" in ended.err


def test_a_target_group_with_several_runs_is_a_bad_row(box: Sandbox, cli: Cli, folder: Path) -> None:
    """The exchange says that there is one at most: none is chosen where it does not hold to that."""
    rows = live(box, 2)
    plan_of(rows[:1], folder / "plan.csv")
    box.script(runs_body(rows[0][0], rows[1][0], box=box), on="list")
    ended = cli("apply", "plan.csv", "--yes")
    assert (ended.status, box.history) == (2, ())
    one, other = (ref.fielding_run_id for ref, _ in rows)
    assert "has more than one fielding run: name one of them, in a column fielding_run_id" in ended.err
    assert f"({one}, {other})" in ended.err


def test_two_target_groups_with_one_run_are_a_bad_row(box: Sandbox, cli: Cli, folder: Path) -> None:
    """Two rows would be two orders for one run that nobody holds in order: the second one is named."""
    rows = live(box, 2)
    plan_of(rows, folder / "plan.csv")
    same = runs_body(rows[0][0], box=box)
    box.script(same, same, on="list")
    ended = cli("apply", "plan.csv", "--yes")
    assert (ended.status, box.history) == (2, ())
    assert "fielding: plan.csv: one line is not right; nothing was sent\n" in ended.err
    more = f" ({rows[0][0].fielding_run_id}, of {rows[0][0].target_group_id})"
    assert "  line 3: " in ended.err
    assert f"in a column fielding_run_id{more}\n" in ended.err


@pytest.mark.parametrize("more", [{"target_group_id": "7" * 26}, {"id": "a/b"}, {"id": ""}])
def test_a_run_that_cannot_be_that_of_the_target_group_is_no_run(
    box: Sandbox, cli: Cli, folder: Path, more: dict[str, object]
) -> None:
    """The answer cannot be understood, and nothing is sent."""
    rows = live(box, 1)
    plan_of(rows, folder / "plan.csv")
    box.script(runs_body(rows[0][0], box=box, **more), on="list")
    ended = cli("apply", "plan.csv", "--yes")
    assert (ended.status, files(folder), box.history) == (3, ["plan.csv"], ())
    assert "ProtocolError" in ended.err


@pytest.mark.parametrize("option", ["--yes", "--dry-run"])
@pytest.mark.parametrize(
    ("status", "error"),
    [
        (Status(403), "PermissionDeniedError"),
        (Status(404, body=b"<html>"), "NotFoundError"),
        (Reply(body=b"<html>"), "ProtocolError"),
    ],
    ids=["403", "a page", "a page with 200"],
)
def test_an_error_of_one_target_group_ends_the_command(
    box: Sandbox, cli: Cli, folder: Path, status: Status | Reply, error: str, option: str
) -> None:
    """It says nothing about the run: nothing is sent, and the command may be given again."""
    rows = live(box, 3)
    plan_of(rows, folder / "plan.csv")
    again = [status] * (2 if error == "PermissionDeniedError" else 1)
    box.script(*again, on="list")  # a 403 is asked once more under another token
    ended = cli("apply", "plan.csv", option, "--concurrency", 1)
    box.clear_faults()
    assert (ended.status, ended.out, files(folder), box.history) == (3, "", ["plan.csv"], ())
    assert (
        "nothing was sent: plan.csv names no runs, and the runs of its target groups could not be found:" in ended.err
    )
    assert error in ended.err
    assert cli("apply", "plan.csv", "--yes").status == 0
    assert len(box.history) == 3


def test_a_refused_token_ends_the_command(box: Sandbox, cli: Cli, folder: Path) -> None:
    """With --json the error is an object."""
    rows = live(box, 3)
    plan_of(rows, folder / "plan.csv")
    box.expire_tokens()
    box.script(*[Status(401)] * 6, on="list")
    ended = cli("apply", "plan.csv", "--yes", "--json")
    box.clear_faults()
    (told,) = ended.objects
    assert (ended.status, told["error"], files(folder)) == (3, "AuthenticationError", ["plan.csv"])


def test_no_token_is_a_setting_that_is_missing(
    box: Sandbox, cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dry run needs one too, and says so."""
    plan_of(live(box, 1), folder / "plan.csv")
    monkeypatch.delenv("FIELDING_TOKEN")
    ended = cli("apply", "plan.csv", "--dry-run")
    assert (ended.status, lists(box)) == (2, 0)
    assert "FIELDING_TOKEN" in ended.err


@pytest.mark.slow
def test_an_exchange_that_is_away_ends_the_command(box: Sandbox, cli: Cli, folder: Path) -> None:
    """After the attempts of one call; what was found before is not kept, and nothing is on record."""
    plan_of(live(box, 2), folder / "plan.csv")
    box.script(Status(500), Status(502), Status(503), Status(500), Status(504), on="list")
    ended = cli("apply", "plan.csv", "--yes", "--concurrency", 1)
    assert (ended.status, files(folder), box.history) == (3, ["plan.csv"], ())
    assert "ServerError" in ended.err


@pytest.mark.slow
def test_no_connection_ends_the_command(cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no outage to ride out: nothing is on record yet, and the command can be given again."""
    write_groups(folder / "plan.csv", [((101, "0" * 26, "0" * 26), Pause())])
    monkeypatch.setenv("FIELDING_BASE_URL", "http://127.0.0.1:1/v1")
    ended = cli("apply", "plan.csv", "--yes", "--wait", 600)
    assert (ended.status, files(folder)) == (3, ["plan.csv"])
    assert "TransportError" in ended.err


def killed_before_the_first_write(box: Sandbox, folder: Path) -> None:
    """Start on the plan, and kill the process once its runs are on record and no row can have been written."""
    holds = [Hold("before"), Hold("before")]  # of both rows that are under way
    box.script(*holds, on="get")
    with starting(box=box, folder=folder) as child:
        for hold in holds:
            hold.wait_arrived(HANG)
        assert read_journal(folder / "plan.csv.journal").resolved_runs > 0
        child.kill()
        child.wait(HANG)
    for hold in holds:
        hold.release()


@pytest.mark.slow
@pytest.mark.once
def test_a_plan_killed_before_its_first_write_goes_on_with_its_own_runs(box: Sandbox, cli: Cli, folder: Path) -> None:
    """Also where a target group has another run by then: it is not even asked."""
    rows = live(box, 4)
    plan_of(rows, folder / "plan.csv")
    killed_before_the_first_write(box, folder)
    assert (lists(box), box.history) == (4, ())
    stranger = box.add_run("live")
    box.script(*[runs_body(stranger, box=box)] * 4, on="list")
    dry = cli("apply", "plan.csv", "--dry-run", "--check-runs", "all")
    assert "runs: 4, one for each target group, on record in the journal\n" in dry.out
    assert "requests: about 8 (a GET of each run, a write for each row; " in dry.out
    assert "runs: 4 checked, all exist\n" in dry.out
    for ref, _ in rows:
        box.touch(ref)  # a colleague
    ended = cli("apply", "plan.csv", "--yes")
    assert ended.status == 0, ended.err
    assert "runs: 4, one for each target group, on record in the journal\n" in ended.err
    assert len(box.unused_faults) == 4
    box.clear_faults()
    assert sorted(str(write.ref) for write in box.history if write.by == "client") == sorted(
        str(ref) for ref, _ in rows
    )


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL])
def test_a_command_ended_while_it_looks_for_runs_has_sent_nothing(box: Sandbox, folder: Path, signum: int) -> None:
    """Nothing is on record either; given again, it asks every target group."""
    rows = live(box, 3)
    plan_of(rows, folder / "plan.csv")
    hold = Hold("before")
    box.script(hold, on="list")
    with starting(box=box, folder=folder) as child:
        hold.wait_arrived(HANG)
        child.send_signal(signum)
        what = end_of(child)
    hold.release()
    assert (what.status, what.out) == (143 if signum == signal.SIGTERM else -9, "")
    if signum == signal.SIGTERM:
        assert what.err.endswith("fielding: apply: SIGTERM: nothing was sent\n")
    assert (files(folder), box.history) == (["plan.csv"], ())


def cut_journal(path: Path, keep: int) -> None:
    """Leave the first line of a journal, and so many bytes of its first group; and no head, as after a power cut."""
    data = path.read_bytes()
    first = data.index(b"\n") + 1
    path.write_bytes(data[: first + keep])
    path.with_name(f"{path.name}.head").unlink()


@pytest.mark.parametrize("keep", [0, 30, 200])
def test_where_they_were_not_whole_on_record_they_are_found_again(
    box: Sandbox, cli: Cli, folder: Path, keep: int
) -> None:
    """Nothing was sent before that group was durable."""
    rows = live(box, 3)
    plan_of(rows, folder / "plan.csv")
    assert cli("apply", "plan.csv", "--yes").status == 0
    for ref, _ in rows:
        box.touch(ref, status="live")
    cut_journal(folder / "plan.csv.journal", keep)
    before = lists(box)
    ended = cli("apply", "plan.csv", "--yes", "--json")
    assert (ended.status, lists(box) - before) == (0, 3)
    assert ended.objects[-1]["sent_now"] == 3
    assert read_journal("plan.csv.journal").resolved_runs == 3


def test_altered_runs_on_record_are_refused(box: Sandbox, cli: Cli, folder: Path) -> None:
    """By line, and nothing is sent: a row could go to another run."""
    rows = live(box, 2)
    plan_of(rows, folder / "plan.csv")
    assert cli("apply", "plan.csv", "--yes", "--fail-fast").status == 0
    path = folder / "plan.csv.journal"
    stranger = box.add_run("live")
    path.write_text(path.read_text().replace(rows[0][0].fielding_run_id, stranger.fielding_run_id, 1))
    ended = cli("apply", "plan.csv", "--yes")
    assert ended.status == 2
    assert "is damaged: line 3 is not record 1 of the 1 of group 1" in ended.err


def test_a_dated_journal_is_gone_on_with_on_another_day(box: Sandbox, cli: Cli, folder: Path) -> None:
    """Its runs are on record; a new day's journal finds the runs of that day."""
    rows = live(box, 3)
    rows.insert(0, (box.add_run("completed"), Pause()))
    plan_of(rows, folder / "plan.csv")
    dated = ("apply", "plan.csv", "--yes", "--journal", "plan-%Y-%m-%d.journal")
    assert cli(*dated, "--fail-fast", "--concurrency", 1).status == 1
    (journal,) = folder.glob("*.journal")
    left = 3 - len(box.history)
    assert left
    journal.rename("plan-2001-02-03.journal")
    journal.with_name(f"{journal.name}.head").rename("plan-2001-02-03.journal.head")
    assert lists(box) == 4
    cli(*dated)
    assert (lists(box), len(box.history)) == (4, 3)
    cli(*dated)
    assert lists(box) == 8
    assert len([*folder.glob("*.journal")]) == 2


def test_rows_that_failed_name_their_runs(box: Sandbox, cli: Cli, folder: Path) -> None:
    """So does the plan that takes the others back, and the report."""
    rows = live(box, 2)
    rows.append((box.add_run("completed"), Pause()))
    plan_of(rows, folder / "plan.csv")
    assert cli("apply", "plan.csv", "--yes", "--report", "page.html").status == 1
    failed = (folder / "plan.failed.csv").read_text(encoding="utf-8-sig")
    assert rows[2][0].fielding_run_id in failed
    assert rows[2][0].fielding_run_id in (folder / "page.html").read_text()
    shown = cli("journal", "show", "plan.csv.journal", "--run", rows[0][0].fielding_run_id, "--json")
    assert [row["number"] for row in shown.objects] == [0]
    undone = cli("journal", "undo", "plan.csv.journal")
    assert "of 3 rows 2 can be taken back, 1 cannot" in undone.out
    assert cli("apply", "plan.undo.csv", "--yes").status == 0
    assert [box.inspect(ref).status for ref, _ in rows] == ["live", "live", "completed"]


def test_a_colleague_between_the_look_and_the_write_is_no_harm(box: Sandbox, cli: Cli, folder: Path) -> None:
    """The run is looked at again, as for every row."""
    rows = live(box, 2)
    plan_of(rows, folder / "plan.csv")
    box.script(SecondWriter(), on="pause", ref=rows[0][0])
    (told,) = cli("apply", "plan.csv", "--yes", "--json").objects
    assert (told["done"], told["exit_status"]) == (2, 0)
    assert [box.inspect(ref).status for ref, _ in rows] == ["paused", "paused"]


def test_a_plan_that_names_runs_now_is_another_plan(box: Sandbox, cli: Cli, folder: Path) -> None:
    """And one that names none any more: what is different is said."""
    rows = live(box, 2)
    plan_of(rows, folder / "plan.csv")
    assert cli("apply", "plan.csv", "--yes").status == 0
    write_plan(folder / "plan.csv", rows)
    ended = cli("apply", "plan.csv", "--yes")
    assert ended.status == 2
    assert "(its plan names no runs, and this one names them: " in ended.err
    (folder / "plan.csv.journal").unlink()
    (folder / "plan.csv.journal.head").unlink()
    assert cli("apply", "plan.csv", "--yes").status == 0
    plan_of(rows, folder / "plan.csv")
    ended = cli("apply", "plan.csv", "--yes")
    assert ended.status == 2
    assert "(its plan names the runs, and this one names none: " in ended.err


def test_rows_added_to_it_are_named(box: Sandbox, cli: Cli, folder: Path) -> None:
    """Rows on record are told apart as in any plan, by the runs on record."""
    rows = live(box, 3)
    plan_of(rows[:2], folder / "plan.csv")
    assert cli("apply", "plan.csv", "--yes").status == 0
    plan_of(rows, folder / "plan.csv")
    ended = cli("apply", "plan.csv", "--yes")
    assert ended.status == 2
    assert "the first 2 rows (up to line 3) are those on record; 1 row was added after them, or never sent" in ended.err
    assert lists(box) == 2


@pytest.mark.slow
@pytest.mark.once
def test_a_plan_of_many_target_groups_is_found_side_by_side(box: Sandbox, cli: Cli, folder: Path) -> None:
    """As many at once as rows, no more, and each once."""
    rows = live(box, 120)
    plan_of([*rows, *[(ref, Resume()) for ref, _ in rows]], folder / "plan.csv")
    holds = [Hold("before") for _ in range(7)]
    box.script(*holds, on="list")
    with starting("--concurrency", 7, box=box, folder=folder) as child:
        for hold in holds:
            hold.wait_arrived(HANG)
        assert lists(box) == 7
        for hold in holds:
            hold.release()
        ended = end_of(child)
    assert ended.status == 0
    assert (lists(box), len(box.history)) == (120, 240)
    assert read_journal("plan.csv.journal").resolved_runs == 120


@pytest.mark.slow
@pytest.mark.once
def test_a_plan_killed_while_it_writes_sends_each_row_once(box: Sandbox, folder: Path) -> None:
    """And asks each target group once, as its runs were on record before the first write."""
    rows = live(box, 60)
    rows += [(ref, Resume()) for ref, _ in rows]
    plan_of(rows, folder / "plan.csv")
    for at in (5, 30, 70):
        hold = Hold("after")
        box.script(*[Delay(0.0)] * (at - writes(box)), hold, on="POST")
        with starting(box=box, folder=folder) as child:
            hold.wait_arrived(HANG)
            child.kill()
        hold.release()
    ended = apply(folder / "plan.csv", environment(box))
    assert (ended.status, ended.counts) == (0, (120, 0, 0, 0, 0, 0))
    check_against_history(box, rows, ended.bad)
    assert (writes(box), lists(box)) == (120, 60)
