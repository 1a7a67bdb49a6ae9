"""What stops `fielding apply` before all rows are sent, signals aside."""

from pathlib import Path

import pytest

from fielding_async.cli.apply.tally import StopRule
from fielding_async.core.actions import Pause
from fielding_async.core.errors import (
    AuthenticationError,
    NotFoundError,
    PermissionDeniedError,
    SkippedError,
    TransportError,
)
from fielding_async.sandbox import RawReply, Sandbox, Status
from tests.cli.apply.plans import Row, live, write_plan
from tests.cli.command_line import Cli


def test_fail_fast_starts_no_more_rows(box: Sandbox, cli: Cli, folder: Path) -> None:
    """After the first row that fails no other is started; the rest is said to be left, with how to go on."""
    rows: list[Row] = [(box.add_run("completed"), Pause()), *live(box, 200)]
    write_plan(folder / "plan.csv", rows)
    ended = cli("apply", "plan.csv", "--yes", "--fail-fast", "--concurrency", 1)
    assert ended.status == 1
    assert "stopped at the first row that did not end well (--fail-fast)" in ended.err
    assert "200 were never sent" in ended.out
    assert "to go on:\n  fielding apply plan.csv --concurrency 1 --yes\n" in ended.out
    assert cli("apply", "plan.csv", "--concurrency", 16, "--yes").status == 1
    assert len(box.history) == 200


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"FIELDING_TOKEN": "some-other-token"}, "AuthenticationError: 401"),
        ({"FIELDING_BASE_URL": "http://127.0.0.1:9/v1"}, "TransportError: could not connect"),
    ],
)
def test_without_a_server_or_a_good_token_no_row_is_begun(
    box: Sandbox, cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], said: str
) -> None:
    """A look at the first row's run finds that out, before any row can fail for it; nothing is left behind."""
    write_plan(folder / "plan.csv", live(box, 2))
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    ended = cli("apply", "plan.csv", "--yes", "--json")
    assert ended.status == 1
    assert "no row was sent, for not even a look at the first one's run succeeded" in ended.err
    assert said in ended.err
    assert [value["kind"] for value in ended.objects] == ["error"]
    assert (box.history, [path.name for path in folder.iterdir()]) == ((), ["plan.csv"])


def test_a_token_that_is_refused_midway_does_not_fail_a_whole_plan(box: Sandbox, cli: Cli, folder: Path) -> None:
    """A 401 starts no more rows: with a good token the rest of the plan can still be applied."""
    rows = live(box, 300)
    # early on, for how many more start before the failure is durable, and so seen, is up to the disk
    box.script(Status(401), on="pause", ref=rows[20][0])
    write_plan(folder / "plan.csv", rows)
    ended = cli("apply", "plan.csv", "--yes", "--json", "--concurrency", 4)
    assert ended.status == 1
    assert "stopped: the token is not accepted: 401" in ended.err
    counts = {name: ended.objects[-1][name] for name in ("done", "failed", "never_sent")}
    assert counts["failed"] == 1
    assert counts["never_sent"] >= 240
    whole = cli("apply", "plan.csv", "--yes", "--json").objects[-1]
    assert (whole["done"], whole["failed"], len(box.history)) == (299, 1, 299)


def test_failures_in_a_row_that_say_nothing_of_the_rows_stop_a_plan() -> None:
    """Twenty such failures one after the other do, a 401 or one that is bound to come again alone does, and failures of
    the rows themselves never do.
    """
    forbidden = PermissionDeniedError("403", status=403)
    stop_rule = StopRule()
    assert not any(stop_rule.observe(error) for error in [forbidden] * 19)
    assert not stop_rule.observe(None)
    assert not any(stop_rule.observe(error) for error in [TransportError("gone")] * 19)
    assert not any(stop_rule.observe(SkippedError("no", because=forbidden)) for _ in range(50))
    assert stop_rule.observe(TransportError("gone"))
    assert stop_rule.reason == "20 rows one after the other failed, at last with: gone"
    assert not any(StopRule().observe(NotFoundError("404", status=404)) for _ in range(100))
    assert StopRule().observe(AuthenticationError("401", status=401))
    final = TransportError("the proxy wants another user and password")
    final.is_final = True
    assert StopRule().observe(final)


@pytest.mark.parametrize("status", [403, 404])
def test_no_row_fails_for_an_answer_that_is_not_the_apis(box: Sandbox, cli: Cli, folder: Path, status: int) -> None:
    """A page that a proxy or a web server puts in the place of the API's 403 or 404 shows nothing of the row."""
    page = f"HTTP/1.1 {status} No\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n<p/>"
    box.script(RawReply(page.encode()), on="get")
    write_plan(folder / "plan.csv", live(box, 2))
    ended = cli("apply", "plan.csv", "--yes")
    assert ended.status == 1
    assert "this is not the API's answer: look at FIELDING_BASE_URL, and at proxies" in ended.err
    assert (box.history, [path.name for path in folder.iterdir()]) == ((), ["plan.csv"])
    assert cli("apply", "plan.csv", "--yes").status == 0
