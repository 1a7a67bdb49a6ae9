"""`fielding batch`."""

import codecs
import json
import shlex
from pathlib import Path

import pytest

from fielding_async.core.models import RunRef
from fielding_async.sandbox import Cut, JobFails, JobOmits, Sandbox
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
        (["--from", tmp_path / "none.txt"], "none.txt: No such file"),
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
    from fielding_async.sandbox import Behaviour

    with Sandbox(behaviour=Behaviour(job_seconds=600)) as slow:
        monkeypatch.setenv("FIELDING_BASE_URL", slow.url)
        ref = slow.add_run("live")
        ended = cli("batch", "pause", *project(slow), ref.target_group_id, "--timeout", "2")
        assert (ended.status, ended.out) == (3, "")
        assert f"job {slow.jobs[0].job_id} was made and goes on by itself" in ended.err
        line = next(line for line in ended.err.splitlines() if line.startswith("  fielding batch pause "))
        slow.advance(600)
        assert cli(*shlex.split(line)[1:]).status == 0
        assert len(slow.jobs) == 1
