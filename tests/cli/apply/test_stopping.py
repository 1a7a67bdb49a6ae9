"""What stops `fielding apply` before all rows are sent, signals aside."""

import json
import re
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from fielding_async import ClientCredentials, journal_events
from fielding_async.cli.apply.tally import MissingRuns
from fielding_async.core.actions import Pause
from fielding_async.core.errors import NotFoundError
from fielding_async.core.wire.token_endpoint import token_request_body
from fielding_async.sandbox import Hold, RawReply, Sandbox, Status
from tests.cli.apply.plans import Row, live, write_plan
from tests.cli.command_line import HANG, SECRET, Cli, end_of, environment, line_with, process

pytestmark = pytest.mark.once


def test_fail_fast_starts_no_more_rows(box: Sandbox, cli: Cli, folder: Path) -> None:
    """After the first row that fails no other is started; the rest is said to be left, with how to go on."""
    rows: list[Row] = [(box.add_run("completed"), Pause()), *live(box, 200)]
    write_plan(folder / "plan.csv", rows)
    ended = cli("apply", "plan.csv", "--yes", "--fail-fast", "--concurrency", 1)
    assert ended.status == 1
    assert "stopped at the first row that did not end well (--fail-fast)" in ended.err
    assert "200 were never sent" in ended.out
    assert "to continue:\n  fielding apply plan.csv --concurrency 1 --yes\n" in ended.out
    assert cli("apply", "plan.csv", "--concurrency", 16, "--yes").status == 1
    assert len(box.history) == 200


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"FIELDING_TOKEN": "some-other-token"}, "the exchange cannot be used: 401"),
        ({"FIELDING_BASE_URL": "http://127.0.0.1:9/v1"}, "the exchange cannot be used: could not connect"),
    ],
)
def test_without_a_server_or_a_good_token_all_rows_stay_open(
    box: Sandbox, cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], said: str
) -> None:
    """Nothing is written, and no row ends: with what was wrong set right, the same command applies the plan."""
    write_plan(folder / "plan.csv", live(box, 2))
    with monkeypatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        journal = ("--journal", "other.journal") if "FIELDING_BASE_URL" in settings else ()
        ended = cli("apply", "plan.csv", "--yes", "--json", "--wait", 0, *journal)
    assert ended.status == 3
    assert f"stopped: {said}" in ended.err
    (summary,) = ended.objects
    assert (summary["open"], summary["failed"], summary["done"], summary["exit_status"]) == (2, 0, 0, 3)
    assert not box.history
    assert cli("apply", "plan.csv", "--yes").status == 0
    assert len(box.history) == 2


def another_token(box: Sandbox) -> str:
    """Return a token that the sandbox accepts as well."""
    box.add_client("client", "client-secret")
    credentials = ClientCredentials("client", "client-secret", token_url=box.token_url)
    request = Request(box.token_url, token_request_body(credentials), {"Content-Type": "application/json"})
    with urlopen(request, timeout=HANG) as response:
        return str(json.load(response)["access_token"])


def test_a_token_that_is_revoked_midway_stops_at_once_and_another_one_goes_on(
    box: Sandbox, cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plain token that is refused is not waited for; no row fails for it."""
    rows = live(box, 300)
    hold = Hold()
    box.script(hold, on="pause", ref=rows[100][0])
    write_plan(folder / "plan.csv", rows)

    def revoke() -> None:
        hold.wait_arrived(HANG)
        box.refuse(SECRET)
        hold.release()

    with ThreadPoolExecutor(1) as pool:
        revoking = pool.submit(revoke)
        ended = cli("apply", "plan.csv", "--yes", "--json", "--concurrency", 4)
        revoking.result()
    assert ended.status == 3
    assert "stopped: the exchange cannot be used: 401" in ended.err
    assert "the command waited" not in ended.err
    summary = ended.objects[-1]
    assert summary["done"] + summary["open"] == 300
    assert 0 < summary["done"] < 300
    assert (summary["failed"], summary["stuck"], summary["unknown"], summary["skipped"]) == (0, 0, 0, 0)
    box.refuse(SECRET, 403)
    assert cli("apply", "plan.csv", "--yes").status == 3
    monkeypatch.setenv("FIELDING_TOKEN", another_token(box))
    assert cli("apply", "plan.csv", "--yes", "--json").objects[-1]["done"] == 300
    assert len(box.history) == 300


@pytest.mark.parametrize("status", [401, 500])
def test_one_refusal_of_one_row_is_tried_again(box: Sandbox, cli: Cli, folder: Path, status: int) -> None:
    """A look at another run succeeds, so it was that row's trouble; its next try is accepted."""
    rows = live(box, 100)
    box.script(*[Status(status)] * (5 if status == 500 else 1), on="pause", ref=rows[20][0])
    write_plan(folder / "plan.csv", rows)
    ended = cli("apply", "plan.csv", "--yes", "--json")
    assert (ended.status, ended.objects[-1]["done"], len(box.history)) == (0, 100, 100)


def test_a_row_that_is_always_refused_is_stuck(box: Sandbox, cli: Cli, folder: Path) -> None:
    """The others are done; it is listed, in no file of failed rows, and tried again by the same command."""
    rows = live(box, 60)
    box.script(*[Status(403)] * 3, on="pause", ref=rows[20][0])
    write_plan(folder / "plan.csv", rows)
    ended = cli("apply", "plan.csv", "--yes")
    assert ended.status == 1
    assert "line 22: pause: stuck: PermissionDeniedError: 403" in ended.err
    assert "1 are stuck: each failed three times" in ended.out
    assert "in all 0 open, 1 stuck, 0 failed or skipped" in ended.out
    assert "to continue:\n  fielding apply plan.csv --yes\n" in ended.out
    assert sorted(path.name for path in folder.iterdir()) == ["plan.csv", "plan.csv.journal", "plan.csv.journal.head"]
    again = cli("apply", "plan.csv", "--yes", "--json")
    assert (again.status, again.objects[-1]["done"], again.objects[-1]["stuck"]) == (0, 60, 0)
    assert len(box.history) == 60


def test_runs_that_do_not_exist_one_after_the_other_stop_a_plan() -> None:
    """Twenty rows with a 404 of the exchange's own do, with none accepted between; a page, or another error, does not
    count.
    """
    missing = NotFoundError("404", status=404, object="not_found")
    rule = MissingRuns()
    assert not any(rule.observe(error) for error in [missing] * 19)
    assert not rule.observe(None)
    assert not any(rule.observe(error) for error in [missing, NotFoundError("a page", status=404)] * 19)
    assert rule.observe(missing)
    assert "do not exist" in (rule.reason or "")


@pytest.mark.parametrize("status", [403, 404])
def test_no_row_fails_for_an_answer_that_is_not_the_apis(box: Sandbox, cli: Cli, folder: Path, status: int) -> None:
    """A page that a proxy or a web server puts in the place of the API's 403 or 404 shows nothing of the row."""
    page = f"HTTP/1.1 {status} No\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n<p/>"
    box.script(*[RawReply(page.encode())] * 3, on="get")  # both rows, and the look
    write_plan(folder / "plan.csv", live(box, 2))
    ended = cli("apply", "plan.csv", "--yes", "--wait", 0)
    assert ended.status == 3
    assert "this is not the API's answer: check FIELDING_BASE_URL, and proxies" in ended.err
    assert "in all 2 open, 0 stuck, 0 failed or skipped" in ended.out
    assert not box.history
    assert cli("apply", "plan.csv", "--yes").status == 0


@pytest.mark.parametrize("status", [403, 404, 502])
def test_a_short_plan_whose_writes_all_meet_a_page_is_open(box: Sandbox, cli: Cli, folder: Path, status: int) -> None:
    """GETs are answered, and a proxy refuses each write: no row is stuck, and the same command applies them."""
    page = f"HTTP/1.1 {status} No\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n<p/>"
    box.script(*[RawReply(page.encode())] * 60, on="pause")
    write_plan(folder / "plan.csv", live(box, 3))
    ended = cli("apply", "plan.csv", "--yes", "--wait", 0)
    assert ended.status == 3
    assert "in all 3 open, 0 stuck, 0 failed or skipped" in ended.out
    assert not box.history
    box.clear_faults()
    assert cli("apply", "plan.csv", "--yes").status == 0
    assert len(box.history) == 3


@contextmanager
def stopped_under(folder: Path, *options: object, rows: int) -> "Iterator[tuple[Sandbox, subprocess.Popen[str]]]":
    """A sandbox that was stopped in the middle of a plan, and the command that applies it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    box = Sandbox(require_token=SECRET, port=port).start()
    try:
        plan, hold = live(box, rows), Hold()
        box.script(hold, on="pause", ref=plan[rows // 2][0])
        write_plan(folder / "plan.csv", plan)
        words = ("apply", "plan.csv", "--yes", "--concurrency", 8, *options)
        with process(*words, env=environment(box), cwd=folder) as child:
            hold.wait_arrived(HANG)
            box.stop()
            yield box, child
    finally:
        box.stop()


def test_an_exchange_that_is_stopped_and_started_again_costs_no_row(folder: Path) -> None:
    """In one command: it says since when and what is tried, and applies each row once."""
    with stopped_under(folder, "--json", rows=800) as (box, child):
        said = line_with(child, "the exchange cannot be used since")
        box.start()
        ended = end_of(child)
        assert re.search(r"since \d\d:\d\d:\d\d \(.+\); (next try in|trying it now).* more at most; ", said)
        assert ended.status == 0
        assert (ended.objects[-1]["done"], len(box.history)) == (800, 800)
        assert len({write.ref for write in box.history}) == 800
        assert [event.kind for event in journal_events(folder / "plan.csv.journal")] == ["outage", "back"]


def test_an_exchange_that_stays_away_leaves_rows_open_for_the_same_command(folder: Path) -> None:
    """After `--wait` it stops with exit 3; given again, it applies the rest."""
    with stopped_under(folder, "--wait", 0.5, rows=200) as (box, child):
        ended = end_of(child)
        assert ended.status == 3
        assert "stopped: the exchange cannot be used: " in ended.err
        assert re.search(r"in all \d+ open, 0 stuck, 0 failed or skipped", ended.out)
        assert "to continue:\n  fielding apply plan.csv --concurrency 8 --wait 0.5 --yes\n" in ended.out
        box.start()
        with process("apply", "plan.csv", "--yes", env=environment(box), cwd=folder) as again:
            assert end_of(again).status == 0
        assert len(box.history) == len({write.ref for write in box.history}) == 200
