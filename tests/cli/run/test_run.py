"""`fielding run`."""

import json
from datetime import UTC, datetime

import pytest

from fielding_async.cli.shared.output import printable
from fielding_async.core.models import RunRef
from fielding_async.sandbox import Cut, Reply, Sandbox, SecondWriter
from tests.cli.command_line import Cli

RUN_BODY = """{
    "id": "", "status": "live", "version": 1, "start_fielding_at": "2030-01-01T08:00:00.000Z",
    "end_fielding_at": "2031-01-01T08:00:00.000Z", "last_changed_at": "2029-12-31T00:00:00.000Z",
    "last_changed_by": "somebody"
}"""


def test_get_shows_the_run_for_people_and_for_machines(box: Sandbox, cli: Cli) -> None:
    """`run get` shows status, dates and ETag, as lines or as one JSON object."""
    ref = box.add_run("live")
    shown = cli("run", "get", ref)
    assert (shown.status, shown.err) == (0, "")
    assert shown.out.splitlines()[:2] == [str(ref), "  status   live"]
    (run,) = cli("run", "get", ref, "--json").objects
    assert (run["kind"], run["ref"], run["status"], run["etag"]) == ("run", str(ref), "live", 'W/"1"')


@pytest.mark.parametrize(
    ("before", "name", "after"),
    [
        ("scheduled", "launch-now", "live"),
        ("live", "pause", "paused"),
        ("paused", "resume", "live"),
        ("live", "complete", "completed"),
        ("completed", "relaunch", "live"),
    ],
)
def test_each_action_does_what_its_name_says(box: Sandbox, cli: Cli, before: str, name: str, after: str) -> None:
    """Each status action moves the run, whether it is named by one text or by options."""
    first, second = box.add_run(before), box.add_run(before)
    ended = cli("run", name, first)
    assert (ended.status, ended.out.splitlines()[0], ended.err) == (0, f"{name}: done", "")
    ids = ["--account", second.account_id, "--project", second.project_id, "--target-group", second.target_group_id]
    (outcome,) = cli("run", name, *ids, second.fielding_run_id, "--json").objects
    assert (outcome["kind"], outcome["action"], outcome["effect"]) == ("outcome", {"name": name}, "accepted")
    assert (outcome["requests"], outcome["conflicts"], outcome["ref"]) == (2, 0, str(second))
    assert [box.inspect(ref).status for ref in (first, second)] == [after, after]


def test_an_action_already_done_is_a_success_that_says_so(box: Sandbox, cli: Cli) -> None:
    """Pausing a paused run sends no write, exits 0 and says that there was nothing to do."""
    ended = cli("run", "pause", box.add_run("paused"))
    assert (ended.status, ended.out.splitlines()[0]) == (
        0,
        "pause: nothing to do, the run was already in the wanted state",
    )
    assert box.history == ()


def test_update_changes_the_dates_it_names(box: Sandbox, cli: Cli) -> None:
    """`update --end` with an offset moves the end to that moment in UTC, and leaves the start."""
    ref = box.add_run("live")
    start = box.inspect(ref).start_fielding_at
    assert cli("run", "update", ref, "--end", "2099-08-31T18:00:00+02:00").status == 0
    run = box.inspect(ref)
    assert (run.start_fielding_at, run.end_fielding_at) == (start, datetime(2099, 8, 31, 16, tzinfo=UTC))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--end", "2099-08-31T18:00:00"], "has no time zone: add Z for UTC"),
        (["--end", "31/08/2099"], "is not an RFC 3339 date and time"),
        (["--end", "2099-08-31"], "is not an RFC 3339 date and time"),
        (["--end", "2099-02-30T00:00:00Z"], "is not an RFC 3339 date and time"),
        ([], "give --start, --end or both"),
        (["--start", "2099-01-02T00:00:00Z", "--end", "2099-01-01T00:00:00Z"], "--end must be after --start"),
        (["--end", "2099-01-02T00:00:00Z", "--timeout", "0"], "--timeout"),
        (["--end", "2099-01-02T00:00:00Z", "--timeout", "inf"], "must be a number of seconds"),
        (["--end", "2099-01-02T00:00:00Z", "--on-conflict", "fight"], "--on-conflict"),
        (["--end", "2099-01-02T00:00:00Z", "--account", "1"], "leave out --account"),
    ],
)
def test_bad_arguments_of_update_are_refused_before_anything_is_sent(
    box: Sandbox, cli: Cli, arguments: list[str], said: str
) -> None:
    """Dates without a zone, of a local form or in the wrong order are usage errors that name the problem."""
    ended = cli("run", "update", box.add_run("live"), *arguments)
    assert (ended.status, ended.out) == (2, "")
    assert said in ended.err
    assert len(ended.err.splitlines()) <= 2
    assert box.requests == ()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["RUN1"], "Missing --account and --project and --target-group"),
        (["101/x"], "not of the form ACCOUNT/PROJECT/TARGET_GROUP[/RUN]"),
        (["one/x/y/z"], "not of the form"),
        (["101/x/y/z"], "project_id='x'"),
        (["--account", "many", "RUN1"], "'many' is not a whole number"),
        ([], "Missing argument 'RUN'"),
    ],
)
def test_a_run_that_is_not_named_well_is_a_usage_error(cli: Cli, arguments: list[str], said: str) -> None:
    """Missing or malformed ids exit with 2 and say which."""
    ended = cli("run", "get", *arguments)
    assert (ended.status, ended.out) == (2, "")
    assert said in ended.err


def test_a_wrong_state_is_two_lines_with_the_run_as_it_is(box: Sandbox, cli: Cli) -> None:
    """A 422 exits with 1; the message names the error, the state of the run and the trace id."""
    ref = box.add_run("completed")
    ended = cli("run", "pause", ref)
    assert (ended.status, ended.out) == (1, "")
    first, second = ended.err.splitlines()
    assert first.startswith("fielding: run pause: InvalidRunStateError: 422")
    assert second.startswith("  the run is now completed")
    assert "trace id" in second


def test_an_error_with_json_is_an_object_with_its_class_and_fields(box: Sandbox, cli: Cli) -> None:
    """With `--json` stdout holds the error as one object, current run included, and stderr the lines."""
    ref = box.add_run("completed")
    ended = cli("run", "pause", ref, "--json")
    (error,) = ended.objects
    assert ended.status == 1
    assert (error["kind"], error["error"], error["status"]) == ("error", "InvalidRunStateError", 422)
    assert (error["ref"], error["current"]["status"], error["method"]) == (str(ref), "completed", "POST")
    assert "InvalidRunStateError" in ended.err


def test_on_conflict_raise_gives_up(box: Sandbox, cli: Cli) -> None:
    """With `--on-conflict raise` a colleague's write in between ends in a conflict, and nothing is applied."""
    ref = box.add_run("live")
    box.script(SecondWriter(), on="pause")
    ended = cli("run", "pause", ref, "--on-conflict", "raise")
    assert ended.status == 1
    assert "PreconditionFailedError" in ended.err
    assert box.inspect(ref).status == "live"


def test_a_conflict_and_a_lost_reply_are_no_trouble(box: Sandbox, cli: Cli) -> None:
    """A colleague's write is worked around, and a write whose reply was lost is told as such, both with exit 0."""
    first, second = box.add_run("live"), box.add_run("live")
    box.script(SecondWriter(), on="pause", ref=first)
    box.script(Cut("after"), on="pause", ref=second)
    assert cli("run", "pause", first, "--json").objects[0]["conflicts"] == 1
    ended = cli("run", "pause", second)
    assert ended.status == 0
    assert "a reply was lost" in ended.out


def test_an_unknown_outcome_exits_with_3(box: Sandbox, cli: Cli) -> None:
    """When it cannot be told whether the write was applied, the status is 3 and the run as last seen is shown."""
    ref = box.add_run("live")
    box.script((Cut("after"), SecondWriter(status="completed", when="after")), on="pause")
    ended = cli("run", "pause", ref, "--json")
    (error,) = ended.objects
    assert (ended.status, error["error"], error["current"]["status"]) == (3, "OutcomeUnknownError", "completed")
    assert "may or may not have been applied" in ended.err


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"FIELDING_TOKEN": ""}, "set FIELDING_TOKEN, or both FIELDING_CLIENT_ID and FIELDING_CLIENT_SECRET"),
        ({"FIELDING_TOKEN": "two words"}, "FIELDING_TOKEN: must be"),
        ({"FIELDING_BASE_URL": "http://example.com"}, "plain http is for loopback hosts only"),
    ],
)
def test_missing_and_bad_settings_exit_with_2(
    box: Sandbox, cli: Cli, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], said: str
) -> None:
    """Settings that will not do are one line that names the variable."""
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    ended = cli("run", "get", box.add_run())
    assert (ended.status, ended.out, len(ended.err.splitlines())) == (2, "", 1)
    assert said in ended.err


def test_a_refused_token_is_never_shown(box: Sandbox, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A 401 says what to check, and shows no token."""
    monkeypatch.setenv("FIELDING_TOKEN", "token-that-is-wrong")
    ended = cli("run", "get", box.add_run(), "--json")
    assert (ended.status, ended.objects[0]["error"]) == (1, "AuthenticationError")
    assert "check FIELDING_TOKEN" in ended.err
    assert "token-that-is-wrong" not in ended.out + ended.err


def test_what_a_server_says_cannot_act_on_the_terminal(box: Sandbox, cli: Cli) -> None:
    """Control characters in an error's detail are not written as they are."""
    body = rb'{"object": "x_error", "detail": "red \u001b[31m alert"}'
    box.script(Reply(400, body=body), on="get")
    ended = cli("run", "get", box.add_run())
    assert ended.status == 1
    assert "\x1b" not in ended.err
    assert printable("red \x1b[31m alert\n") == r"red \x1b[31m alert\n"


def group_of(ref: RunRef) -> str:
    """The target group of a run, as the command line takes it."""
    return f"{ref.account_id}/{ref.project_id}/{ref.target_group_id}"


def test_a_target_group_stands_for_its_one_run(box: Sandbox, cli: Cli) -> None:
    """`run get` and each action take ACCOUNT/PROJECT/TARGET_GROUP, and name the run that was meant."""
    ref = box.add_run("live")
    assert cli("run", "get", group_of(ref)).out.splitlines()[0] == str(ref)
    (outcome,) = cli("run", "pause", group_of(ref), "--json", "--timeout", "60").objects
    assert (outcome["ref"], outcome["effect"], outcome["requests"]) == (str(ref), "accepted", 2)
    assert f"  run       {ref}" in cli("run", "resume", group_of(ref)).out
    assert cli("run", "update", group_of(ref), "--end", "2099-08-31T18:00:00Z").status == 0
    assert [write.operation for write in box.history] == ["pause", "resume", "update"]


def test_a_target_group_without_a_run_exits_with_1(box: Sandbox, cli: Cli) -> None:
    """A draft has no run: the message says so, and what makes one. Nothing is written."""
    draft = box.add_draft()
    place = f"{draft.account_id}/{draft.project_id}/{draft.target_group_id}"
    ended = cli("run", "pause", place, "--json")
    (error,) = ended.objects
    assert (ended.status, error["error"], error["target_group"]) == (1, "NoRunError", place)
    assert ended.err == (
        f"fielding: run pause: NoRunError: target group {place} has no fielding run; one that is a draft gets its run"
        " by `fielding draft launch` or `fielding draft schedule`\n"
    )
    assert {request.method for request in box.requests} == {"GET"}


def test_a_target_group_with_several_runs_exits_with_1_and_names_them(box: Sandbox, cli: Cli) -> None:
    """Which run is meant cannot be told: the message names each with its status. Nothing is written."""
    ref = box.add_run("live")
    body = {"data": [json.loads(RUN_BODY) | {"id": f"RUN{number}"} for number in (1, 2)]}
    box.script(Reply(200, body=json.dumps(body).encode()), on="list")
    ended = cli("run", "pause", group_of(ref), "--json")
    (error,) = ended.objects
    runs = [f"{group_of(ref)}/RUN{number}" for number in (1, 2)]
    assert (ended.status, error["error"], error["runs"]) == (1, "SeveralRunsError", runs)
    assert f"has 2 fielding runs; name one of them: {runs[0]} (live), {runs[1]} (live)" in ended.err
    assert box.history == ()


def test_a_target_group_that_does_not_exist_exits_with_1(box: Sandbox, cli: Cli) -> None:
    """The error of the list is the error of the command."""
    ended = cli("run", "get", f"101/{box.project_id}/{'A' * 26}")
    assert (ended.status, ended.out) == (1, "")
    assert "NotFoundError" in ended.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["101/x/y"], "project_id='x'"),
        (["one/x/y"], "'one/x/y' is not of the form ACCOUNT/PROJECT/TARGET_GROUP."),
        (
            ["101/x"],
            "'101/x' is not of the form ACCOUNT/PROJECT/TARGET_GROUP[/RUN]; `fielding list runs ACCOUNT/PROJECT`",
        ),
        (["101/x/y", "--account", "1"], "RUN names 3 ids already; leave out --account"),
        (["101/x/y/z", "--account", "1"], "RUN names 4 ids already; leave out --account"),
        (["RUN1"], "Or name the run as ACCOUNT/PROJECT/TARGET_GROUP[/RUN], in one argument"),
        (["101//y"], "project_id=''"),
    ],
)
def test_a_target_group_that_is_not_named_well_is_a_usage_error(
    box: Sandbox, cli: Cli, arguments: list[str], said: str
) -> None:
    """Malformed ids exit with 2 and say which; nothing is sent."""
    ended = cli("run", "pause", *arguments)
    assert (ended.status, ended.out) == (2, "")
    assert said in ended.err
    assert box.requests == ()
