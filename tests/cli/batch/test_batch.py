"""`fielding batch`."""

import codecs
import json
import shlex
from pathlib import Path

import pytest

from fielding_async.core.models import RunRef
from fielding_async.sandbox import Behaviour, Cut, JobFails, JobOmits, Sandbox
from tests.cli.command_line import Cli

NOBODY = "A" * 26


def project(box: Sandbox) -> list[object]:
    """The options that name the sandbox's project."""
    return ["--account", 101, "--project", box.project_id]


def groups(refs: list[RunRef]) -> list[str]:
    """The target groups of runs."""
    return [ref.target_group_id for ref in refs]


@pytest.mark.parametrize(
    ("before", "name", "after"),
    [
        ("scheduled", "launch", "live"),
        ("live", "pause", "paused"),
        ("paused", "resume", "live"),
        ("live", "complete", "completed"),
        ("completed", "relaunch", "live"),
    ],
)
def test_each_bulk_action_does_what_its_name_says(box: Sandbox, cli: Cli, before: str, name: str, after: str) -> None:
    """Each bulk action moves the runs of all target groups named, and exits with 0."""
    refs = [box.add_run(before) for _ in range(2)]
    ended = cli("batch", name, *project(box), *groups(refs))
    assert ended.status == 0
    assert f"batch {name}: 2 updated, 0 failed, 0 missing" in ended.out
    assert {box.inspect(ref).status for ref in refs} == {after}


def test_what_failed_or_is_missing_is_shown_with_its_reason(box: Sandbox, cli: Cli) -> None:
    """One target group's failure is data: a table at 80 columns with code and description, and exit 1."""
    refs = [box.add_run("live"), box.add_run("live")]
    box.script(JobOmits((refs[1].target_group_id,)), on="bulk-pause")
    ended = cli("batch", "pause", *project(box), *groups(refs), NOBODY)
    assert ended.status == 1
    rows = {line.split("│")[1].strip(): line for line in ended.out.splitlines() if line.startswith("│")}
    assert "updated" in rows[refs[0].target_group_id]
    assert "missing" in rows[refs[1].target_group_id]
    assert "TargetGroupNotFound" in rows[NOBODY]
    assert max(map(len, ended.out.splitlines())) <= 80
    assert "1 updated, 1 failed, 1 missing" in ended.out


def test_the_result_as_json(box: Sandbox, cli: Cli) -> None:
    """With `--json` stdout is one object with all lists, the key and the trace id; progress goes to stderr."""
    ref = box.add_run("live")
    ended = cli("batch", "pause", *project(box), ref.target_group_id, NOBODY, "--json", "--idempotency-key", "mine")
    (result,) = ended.objects
    assert ended.status == 1
    assert (result["kind"], result["status"], result["idempotency_key"]) == ("batch", "Completed", "mine")
    assert (result["updated"], result["missing"]) == ([ref.target_group_id], [])
    assert result["failed"][0]["code"] == "TargetGroupNotFound"
    assert "batch pause: Completed, 1 updated, 1 failed" in ended.err


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_ids_come_from_files_of_any_kind(box: Sandbox, cli: Cli, tmp_path: Path, encoding: str) -> None:
    """A file of ids may have a byte order mark, CRLF, blank lines and comments, also after an id."""
    refs = [box.add_run("live") for _ in range(3)]
    first, second, third = groups(refs)
    path = tmp_path / "ids.txt"
    path.write_bytes(f"# mine\r\n{first}\r\n\r\n  {second}  # this one too\r\n".encode(encoding))
    assert cli("batch", "pause", *project(box), "--from", path, third).status == 0
    assert json.loads(box.jobs[0].body)["target_group_ids"] == [first, second, third]


@pytest.mark.parametrize("arguments", [["-"], ["--from", "-"]])
def test_ids_come_from_standard_input(box: Sandbox, cli: Cli, arguments: list[str]) -> None:
    """`-` reads the ids from standard input."""
    ref = box.add_run("live")
    content = codecs.BOM_UTF8 + f"{ref.target_group_id}\r\n".encode()
    assert cli("batch", "pause", *project(box), *arguments, stdin=content).status == 0
    assert box.inspect(ref).status == "paused"


def test_bad_ids_are_named_with_their_place(box: Sandbox, cli: Cli, tmp_path: Path) -> None:
    """An id that cannot be one, one named twice, no id at all, no file: exit 2, one line, nothing sent."""
    path = tmp_path / "ids.txt"
    path.write_text(f"{NOBODY}\n\nnonsense\n")
    for arguments, said in (
        (["--from", path], "ids.txt, line 3: 'nonsense' is not a target group id"),
        (["--from", tmp_path / "none.txt"], "none.txt: cannot be read: No such file"),
        ([NOBODY, NOBODY], f"{NOBODY} is named more than once"),
        ([], "no target group ids"),
        ([NOBODY, "--idempotency-key", "ümlaut"], "idempotency_key"),
    ):
        ended = cli("batch", "pause", *project(box), *arguments)
        assert (ended.status, ended.out, len(ended.err.splitlines())) == (2, "", 1)
        assert said in ended.err
    path.write_bytes(b"\xff\xfe\x00")
    assert "not a text file" in cli("batch", "pause", *project(box), "--from", path).err
    assert cli("batch", "pause", "--account", 101, "--project", "x", NOBODY).status == 2
    assert box.requests == ()


def test_no_wait_prints_the_job_and_its_key(box: Sandbox, cli: Cli) -> None:
    """`--no-wait` exits once the job is made, with its id and key; the same key finds the same job again."""
    ref = box.add_run("live")
    ended = cli("batch", "pause", *project(box), ref.target_group_id, "--no-wait", "--idempotency-key", "k 1")
    assert (ended.status, ended.err) == (0, "")
    (job,) = box.jobs
    assert f"job id           {job.job_id}\n  idempotency key  k 1\n" in ended.out
    (made,) = cli("batch", "pause", *project(box), ref.target_group_id, "--no-wait", "--json").objects
    assert (made["kind"], made["job_id"]) == ("job", box.jobs[1].job_id)
    again = cli(*shlex.split(made["send_again"])[1:])
    assert again.objects[0]["job_id"] == made["job_id"]
    assert len(box.jobs) == 2


def test_a_job_that_failed_exits_with_1(box: Sandbox, cli: Cli) -> None:
    """A job that ended `Failed` is an error with the job's id."""
    ref = box.add_run("live")
    box.script(JobFails(), on="bulk-pause")
    ended = cli("batch", "pause", *project(box), ref.target_group_id, "--json")
    (error,) = ended.objects
    assert (ended.status, error["error"], error["job_id"]) == (1, "JobFailedError", box.jobs[0].job_id)


def test_a_creation_without_a_reply_tells_how_to_send_it_again(box: Sandbox, cli: Cli, tmp_path: Path) -> None:
    """Exit 3 shows the key and the exact command; that command finds the job made, and there is only one."""
    refs = [box.add_run("live") for _ in range(2)]
    path = tmp_path / "my ids.txt"
    path.write_text(refs[0].target_group_id)
    box.script(*[Cut("after")] * 9, on="bulk-pause")
    ended = cli("batch", "pause", *project(box), refs[1].target_group_id, "--from", path, "--timeout", "2")
    box.clear_faults()
    assert (ended.status, ended.out) == (3, "")
    assert "may or may not have been made" in ended.err
    line = next(line for line in ended.err.splitlines() if line.startswith("  fielding batch pause "))
    assert f"--idempotency-key {box.jobs[0].idempotency_key}" in line
    assert cli(*shlex.split(line)[1:]).status == 0
    assert len(box.jobs) == 1


def test_waiting_that_runs_out_of_time_tells_how_to_go_on(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """When time runs out while the job goes on, the status is 3, with the job's id and the command to wait again."""
    with Sandbox(behaviour=Behaviour(job_seconds=600)) as slow:
        monkeypatch.setenv("FIELDING_BASE_URL", slow.url)
        ref = slow.add_run("live")
        ended = cli("batch", "pause", *project(slow), ref.target_group_id, "--timeout", "2")
        assert (ended.status, ended.out) == (3, "")
        assert f"job {slow.jobs[0].job_id} was made and continues on the exchange" in ended.err
        line = next(line for line in ended.err.splitlines() if line.startswith("  fielding batch pause "))
        slow.advance(600)
        assert cli(*shlex.split(line)[1:]).status == 0
        assert len(slow.jobs) == 1


def refs_of(runs: list[RunRef]) -> list[str]:
    """The target groups of runs, each as account, project and target group."""
    return [f"{ref.account_id}/{ref.project_id}/{ref.target_group_id}" for ref in runs]


def test_target_groups_may_name_account_and_project_themselves(box: Sandbox, cli: Cli, tmp_path: Path) -> None:
    """Arguments and lines of a file of the form ACCOUNT/PROJECT/TARGET_GROUP need no options."""
    runs = [box.add_run("live") for _ in range(3)]
    first, second, third = refs_of(runs)
    path = tmp_path / "groups.txt"
    path.write_text(f"{second}\n{third}  # the last\n")
    ended = cli("batch", "pause", first, "--from", path)
    assert ended.status == 0
    assert f"batch pause: 3 updated, 0 failed, 0 missing (job {box.jobs[0].job_id})" in ended.out
    assert set(json.loads(box.jobs[0].body)["target_group_ids"]) == set(groups(runs))
    assert {box.inspect(ref).status for ref in runs} == {"paused"}


def test_target_groups_that_are_not_named_well_are_refused(box: Sandbox, cli: Cli, tmp_path: Path) -> None:
    """Two projects, refs mixed with ids or options, a run, a malformed ref: exit 2, one line, nothing sent."""
    here = f"101/{box.project_id}/{'B' * 26}"
    there = f"101/{'C' * 26}/{'D' * 26}"
    other_account = f"102/{box.project_id}/{'D' * 26}"
    path = tmp_path / "groups.txt"
    path.write_text(f"{here}\n\n{there}\n")
    for arguments, said in (
        (
            [here, there],
            f"argument: {there} is of another project than {here} (argument): name target groups of one project",
        ),
        ([here, other_account], "is of another project"),
        (["--from", path], f"groups.txt, line 3: {there} is of another project than {here} ({path}, line 1)"),
        ([here, NOBODY], f"argument: '{NOBODY}' is an id alone, and {here} (argument) names account and project"),
        ([NOBODY, here, "--account", "101"], "name all in the same way"),
        ([here, "--account", "101"], f"{here} (argument) names account and project already: leave out --account"),
        ([here, *project(box)], "leave out --account and --project"),
        ([f"{here}/RUN1"], "names a run; bulk jobs are for target groups: leave out the last id"),
        ([f"101/{NOBODY}"], "is not of the form ACCOUNT/PROJECT/TARGET_GROUP"),
        (["x/y/z"], "is not of the form ACCOUNT/PROJECT/TARGET_GROUP"),
        (["101/y/z"], "argument: project_id='y'"),
        ([f"101/{box.project_id}/z"], "'z' is not a target group id"),
        ([f"9999999999/{box.project_id}/{NOBODY}"], "account_id=9999999999"),
        ([here, here], "is named more than once (argument)"),
        (
            [NOBODY],
            "missing --account and --project: give them, or name the target groups as ACCOUNT/PROJECT/TARGET_GROUP",
        ),
        ([NOBODY, "--project", box.project_id], "missing --account: give them, or"),
        ([], "no target group ids: name some, or a file of them with --from"),
    ):
        ended = cli("batch", "pause", *arguments)
        assert (ended.status, ended.out, len(ended.err.splitlines())) == (2, "", 1), arguments
        assert said in ended.err
    assert box.requests == ()


def test_the_command_that_sends_a_long_request_again_reads_the_same_sources(
    box: Sandbox, cli: Cli, tmp_path: Path
) -> None:
    """Of more than twenty target groups the command names the sources, not the ids, and finds the same job."""
    runs = [box.add_run("live") for _ in range(21)]
    path = tmp_path / "groups.txt"
    path.write_text("\n".join(refs_of(runs)))
    (made,) = cli("batch", "pause", "--from", path, "--no-wait", "--json").objects
    assert "--account" not in made["send_again"]
    assert cli(*shlex.split(made["send_again"])[1:]).objects[0]["job_id"] == made["job_id"]
    path.write_text("\n".join(groups(runs)))
    (made,) = cli("batch", "pause", *project(box), "--from", path, "--no-wait", "--json").objects
    assert "--account 101" in made["send_again"]
    assert cli(*shlex.split(made["send_again"])[1:]).objects[0]["job_id"] == made["job_id"]
    assert len(box.jobs) == 2


def test_a_job_is_asked_for_later(box: Sandbox, cli: Cli) -> None:
    """`batch status` shows the result of a job made earlier, as it is now: exit 0, or 1 if some failed."""
    ref = box.add_run("live")
    (made,) = cli("batch", "pause", *refs_of([ref]), "--no-wait", "--json").objects
    asked = cli(*shlex.split(made["ask_again"])[1:])
    (shown,) = asked.objects
    assert (asked.status, shown["kind"], shown["action"], shown["status"]) == (0, "batch", "pause", "Completed")
    assert (shown["job_id"], shown["updated"], shown["missing"]) == (made["job_id"], [ref.target_group_id], [])
    lines = cli("batch", "pause", *refs_of([ref]), "--no-wait").out.splitlines()
    assert lines[-1] == f"  to fetch it      fielding batch status pause 101/{box.project_id}/{box.jobs[1].job_id}"
    (failed,) = cli("batch", "pause", *project(box), NOBODY, "--no-wait", "--json").objects
    ended = cli("batch", "status", "pause", *project(box), failed["job_id"], "--wait")
    assert (ended.status, ended.err) == (1, "")
    assert "TargetGroupNotFound" in ended.out
    assert f"batch status pause: 0 updated, 1 failed, 0 missing (job {failed['job_id']})" in ended.out


def test_a_job_that_failed_is_shown_as_such(box: Sandbox, cli: Cli) -> None:
    """A job that ended `Failed` is exit 1, whether it is asked for once or waited for."""
    box.script(JobFails(), on="bulk-pause")
    (made,) = cli("batch", "pause", *refs_of([box.add_run("live")]), "--no-wait", "--json").objects
    for more in ([], ["--wait"]):
        ended = cli("batch", "status", "pause", f"101/{box.project_id}/{made['job_id']}", *more)
        assert (ended.status, ended.err) == (1, "")
        assert "batch status pause: Failed, 0 updated" in ended.out


def test_a_job_that_has_not_ended_is_told_with_the_command_that_asks_again(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that goes on is exit 3, at once or when the time of `--wait` is up, and can be asked for again."""
    with Sandbox(behaviour=Behaviour(job_seconds=600)) as slow:
        monkeypatch.setenv("FIELDING_BASE_URL", slow.url)
        (made,) = cli("batch", "pause", *refs_of([slow.add_run("live")]), "--no-wait", "--json").objects
        place = f"101/{slow.project_id}/{made['job_id']}"
        once = cli("batch", "status", "pause", place)
        counts = "0 updated, 0 failed, 0 missing"
        assert once.status == 3
        assert once.out == f"batch status pause: Processing, {counts} (job {made['job_id']})\n"
        assert once.err.splitlines() == [
            f"fielding: job {made['job_id']} had not ended when it was last fetched; to fetch it again:",
            f"  fielding batch status pause {place}",
        ]
        late = cli("batch", "status", "pause", place, "--wait", "--timeout", "1", "--json")
        (error,) = late.objects
        assert (late.status, error["error"], error["job_id"]) == (3, "DeadlineExceededError", made["job_id"])
        assert error["ask_again"] == f"fielding batch status pause {place} --wait --json --timeout 1"
        slow.advance(600)
        assert cli(*shlex.split(error["ask_again"])[1:]).status == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pause"], "Missing argument 'JOB'"),
        (["stop", "101/x/y"], "'stop' is not one of"),
        (["pause", "JOB1"], "Missing --account and --project. Or name the job as ACCOUNT/PROJECT/JOB, in one argument"),
        (["pause", "101/JOB1"], "'101/JOB1' is not of the form ACCOUNT/PROJECT/JOB"),
        (["pause", "101/x/JOB1"], "project_id='x'"),
        (["pause", f"101/{NOBODY}/a b"], "job_id='a b'"),
        (["pause", f"101/{NOBODY}/JOB1", "--account", "101"], "JOB names 3 ids already; leave out --account"),
    ],
)
def test_a_job_that_is_not_named_well_is_a_usage_error(box: Sandbox, cli: Cli, arguments: list[str], said: str) -> None:
    """Each mistake is exit 2, and nothing is sent."""
    ended = cli("batch", "status", *arguments)
    assert (ended.status, ended.out) == (2, "")
    assert said in ended.err
    assert box.requests == ()


def test_a_job_that_does_not_exist_exits_with_1_at_once(box: Sandbox, cli: Cli) -> None:
    """A wrong id is told as such; with `--wait` nothing is waited for."""
    ended = cli("batch", "status", "pause", f"101/{box.project_id}/nothing", "--wait")
    assert (ended.status, ended.out) == (1, "")
    assert "NotFoundError" in ended.err
    assert ended.err.endswith("  ACTION must be the action of the job, and JOB its id\n")


def test_a_job_asked_for_by_another_action_says_what_must_fit(box: Sandbox, cli: Cli) -> None:
    """The exchange keeps the jobs of each action apart: the likely slip is named on stderr."""
    (made,) = cli("batch", "pause", *refs_of([box.add_run("live")]), "--no-wait", "--json").objects
    ended = cli("batch", "status", "resume", f"101/{box.project_id}/{made['job_id']}", "--json")
    (error,) = ended.objects
    assert (ended.status, error["error"], error["job_id"]) == (1, "NotFoundError", made["job_id"])
    assert "ACTION must be the action of the job" in ended.err
