"""`fielding draft`."""

import shlex
import signal
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from fielding_async.core.models import RunRef
from fielding_async.sandbox import Behaviour, Cut, Delay, FailureReason, Hold, JobFailure, Sandbox, Status
from tests.cli.command_line import HANG, SECRET, Cli, end_of, environment, process

END = "2031-08-31T18:00:00Z"
START = "2031-08-01T09:00:00+02:00"
NOBODY = "A" * 26


def draft(box: Sandbox) -> str:
    """Add a draft, and return it as the command line takes it."""
    group = box.add_draft()
    return f"{group.account_id}/{group.project_id}/{group.target_group_id}"


@pytest.fixture
def slow(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox in which jobs take ten minutes."""
    with Sandbox(behaviour=Behaviour(job_seconds=600)) as sandbox:
        monkeypatch.setenv("FIELDING_BASE_URL", sandbox.url)
        yield sandbox


@pytest.mark.parametrize(
    ("action", "dates", "status"),
    [("launch", ["--end", END], "live"), ("schedule", ["--start", START, "--end", END], "scheduled")],
)
def test_a_draft_is_launched_or_scheduled(box: Sandbox, cli: Cli, action: str, dates: list[str], status: str) -> None:
    """The command waits for the job and names the run that it made, whether ids are one text or options."""
    first, second = draft(box), draft(box)
    ended = cli("draft", action, first, *dates)
    assert (ended.status, ended.out.splitlines()[0]) == (0, f"draft {action}: Completed (job {box.jobs[0].job_id})")
    named = ended.out.splitlines()[1]
    assert named.startswith(f"  run  {first}/")
    run = box.inspect(RunRef(int(first.split("/")[0]), *named.split("  run  ")[1].split("/")[1:]))
    assert (run.status, run.end_fielding_at) == (status, datetime(2031, 8, 31, 18, tzinfo=UTC))
    if action == "schedule":
        assert run.start_fielding_at == datetime(2031, 8, 1, 7, tzinfo=UTC)
    account, project, group = second.split("/")
    options = ["--account", account, "--project", project, group]
    (result,) = cli("draft", action, *options, *dates, "--json", "--idempotency-key", "mine").objects
    assert (result["kind"], result["action"], result["target_group"]) == ("draft", action, second)
    assert (result["status"], result["idempotency_key"], result["failure"]) == ("Completed", "mine", None)
    assert result["ref"] == f"{second}/{result['created_fielding_run_id']}"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["launch", "GROUP"], "Missing option '--end'"),
        (["schedule", "GROUP", "--end", END], "Missing option '--start'"),
        (["schedule", "GROUP", "--start", END, "--end", START], "--end must be after --start"),
        (["schedule", "GROUP", "--start", END, "--end", END], "--end must be after --start"),
        (["launch", "GROUP", "--end", "2031-08-31T18:00:00"], "has no time zone: add Z for UTC"),
        (["launch", "GROUP", "--end", "tomorrow"], "is not an RFC 3339 date and time"),
        (["launch", "GROUP", "--end", END, "--account", "1"], "TARGET_GROUP names 3 ids already; leave out"),
        (["launch", "GROUP/RUN", "--end", END], "is not of the form ACCOUNT/PROJECT/TARGET_GROUP"),
        (["launch", "x/y/z", "--end", END], "is not of the form ACCOUNT/PROJECT/TARGET_GROUP"),
        (["launch", "101/y/z", "--end", END], "project_id='y'"),
        (["launch", NOBODY, "--end", END], "Missing --account and --project. Or name the target group as ACCOUNT/"),
        (["launch", "--end", END], "Missing argument 'TARGET_GROUP'"),
        (["launch", "GROUP", "--end", END, "--idempotency-key", "ümlaut"], "idempotency_key"),
        (["launch", "GROUP", "--end", END, "--timeout", "0"], "--timeout"),
        (["start", "GROUP"], "No such command 'start'"),
        (["status", "pause", "GROUP/JOB"], "'pause' is not one of 'launch', 'schedule'"),
        (["status", "launch", "GROUP"], "is not of the form ACCOUNT/PROJECT/TARGET_GROUP/JOB"),
        (["status", "launch", "JOB"], "Missing --account and --project and --target-group. Or name the job as"),
        (["status", "launch", "GROUP/a b"], "job_id='a b'"),
        (["status", "launch"], "Missing argument 'JOB'"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_sent(
    box: Sandbox, cli: Cli, arguments: list[str], said: str
) -> None:
    """Each mistake is exit 2 and at most two lines, which name it."""
    group = draft(box)
    ended = cli("draft", *(argument.replace("GROUP", group) for argument in arguments))
    assert (ended.status, ended.out) == (2, "")
    assert said in ended.err
    assert len(ended.err.splitlines()) <= 2
    assert box.requests == ()


def test_a_job_that_failed_exits_with_1_and_says_why(box: Sandbox, cli: Cli) -> None:
    """The reasons of the exchange are shown to people and to machines, when made as when asked for later."""
    failure = JobFailure("NoPrice", "no price is set", (FailureReason("price", "is_missing", "set a price"),))
    group = box.add_draft(failure=failure)
    place = f"{group.account_id}/{group.project_id}/{group.target_group_id}"
    ended = cli("draft", "launch", place, "--end", END, "--json")
    (error,) = ended.objects
    (job,) = box.jobs
    assert (ended.status, error["error"], error["job_id"]) == (1, "JobFailedError", job.job_id)
    assert error["failure"]["reasons"] == [{"name": "price", "reason": "is_missing", "detail": "set a price"}]
    assert len(error["job_trace_id"]) == 32
    assert "NoPrice: no price is set" in ended.err
    assert "price: is_missing: set a price" in ended.err
    asked = cli("draft", "status", "launch", f"{place}/{job.job_id}")
    assert (asked.status, asked.err) == (1, "")
    assert asked.out.splitlines() == [
        f"draft status launch: Failed (job {job.job_id})",
        f"  target group  {place}",
        "  NoPrice: no price is set",
        "  price: is_missing: set a price",
    ]
    waited = cli("draft", "status", "launch", f"{place}/{job.job_id}", "--wait", "--json")
    assert (waited.status, waited.objects[0]["failure"]) == (1, error["failure"])


def test_an_error_of_the_exchange_exits_with_1(box: Sandbox, cli: Cli) -> None:
    """A request that is refused makes no job."""
    box.script(Status(400), on="launch-from-draft")
    ended = cli("draft", "launch", draft(box), "--end", END)
    assert (ended.status, ended.out) == (1, "")
    assert "BadRequestError" in ended.err
    assert box.jobs == ()


def test_a_creation_without_a_reply_tells_how_to_send_it_again(box: Sandbox, cli: Cli) -> None:
    """Exit 3 shows the very command with its key; that finds the job that was made, and makes no second one."""
    box.script(*[Cut("after")] * 9, on="schedule-from-draft")
    ended = cli("draft", "schedule", draft(box), "--start", START, "--end", END, "--timeout", "2", "--json")
    box.clear_faults()
    assert ended.status == 3
    assert "may or may not have been made" in ended.err
    (error,) = ended.objects
    line = next(line for line in ended.err.splitlines() if line.startswith("  fielding draft schedule "))
    assert line.strip() == error["send_again"]
    assert f"--idempotency-key {box.jobs[0].idempotency_key}" in line
    again = cli(*shlex.split(line)[1:])
    assert (again.status, again.objects[0]["status"], len(box.jobs)) == (0, "Completed", 1)


def test_waiting_that_runs_out_of_time_tells_how_to_ask_again(slow: Sandbox, cli: Cli) -> None:
    """The status is 3, and the command shown waits for the job again without making anything."""
    ended = cli("draft", "launch", draft(slow), "--end", END, "--timeout", "1")
    assert (ended.status, ended.out) == (3, "")
    assert f"job {slow.jobs[0].job_id} was made and continues on the exchange; to wait for it again:" in ended.err
    line = next(line for line in ended.err.splitlines() if line.startswith("  fielding draft status launch "))
    assert line.endswith(" --wait --timeout 1")
    late = cli(*shlex.split(line)[1:])
    assert (late.status, late.out) == (3, "")
    assert line in late.err
    slow.advance(600)
    done = cli(*shlex.split(line)[1:])
    assert (done.status, done.out.splitlines()[0]) == (0, f"draft status launch: Completed (job {slow.jobs[0].job_id})")
    assert len(slow.jobs) == 1


def test_no_wait_prints_the_job_and_how_to_ask_for_it(slow: Sandbox, cli: Cli) -> None:
    """A job that goes on is exit 3 when asked for, with the command that asks again; once it has ended, exit 0."""
    place = draft(slow)
    made = cli("draft", "launch", place, "--end", END, "--no-wait")
    assert (made.status, made.err) == (0, "")
    (job,) = slow.jobs
    assert made.out.splitlines() == [
        f"draft launch: job made, for {place}; it continues on the exchange",
        f"  job id           {job.job_id}",
        f"  idempotency key  {job.idempotency_key}",
        made.out.splitlines()[3],
        f"  to fetch it      fielding draft status launch {place}/{job.job_id}",
    ]
    (same,) = cli(
        "draft", "launch", place, "--end", END, "--no-wait", "--json", "--idempotency-key", job.idempotency_key
    ).objects
    assert (same["kind"], same["job_id"], same["target_group"]) == ("job", job.job_id, place)
    asked = cli(*shlex.split(same["ask_again"])[1:])
    (shown,) = asked.objects
    assert (asked.status, shown["status"], shown["ref"], shown["ask_again"]) == (
        3,
        "Processing",
        None,
        same["ask_again"],
    )
    assert f"job {job.job_id} had not ended when it was last fetched; to fetch it again:" in asked.err
    slow.advance(600)
    done = cli(*shlex.split(same["ask_again"])[1:])
    assert (done.status, done.objects[0]["status"], done.err) == (0, "Completed", "")
    assert "ask_again" not in done.objects[0]
    account, project, group = place.split("/")
    options = ["--account", account, "--project", project, "--target-group", group]
    assert cli("draft", "status", "launch", *options, job.job_id).status == 0


def test_a_job_that_does_not_exist_exits_with_1_at_once(box: Sandbox, cli: Cli) -> None:
    """A wrong id is told as such, also with `--wait`: nothing is waited for."""
    ended = cli("draft", "status", "launch", f"{draft(box)}/nothing", "--wait")
    assert (ended.status, ended.out) == (1, "")
    assert "NotFoundError" in ended.err
    assert len(box.requests) == 1


def test_an_error_while_a_job_is_waited_for_leaves_it_unknown(slow: Sandbox, cli: Cli) -> None:
    """The job goes on, so that a wait that is cut by an error is exit 3, with the command that asks again."""
    place = draft(slow)
    (made,) = cli("draft", "launch", place, "--end", END, "--no-wait", "--json").objects
    slow.script(Delay(0), Status(400), on="launch-from-draft-status")
    ended = cli(*shlex.split(made["ask_again"])[1:], "--wait")
    (error,) = ended.objects
    assert (ended.status, error["error"]) == (3, "BadRequestError")
    assert error["ask_again"] == f"fielding draft status launch {place}/{made['job_id']} --wait --json"
    assert f"  {error['ask_again']}" in ended.err.splitlines()
    slow.script(Status(429, retry_after="60"), on="launch-from-draft-status")
    ended = cli("draft", "status", "launch", f"{place}/{made['job_id']}", "--timeout", "1")
    assert (ended.status, ended.out) == (3, "")
    assert "RateLimitError" in ended.err
    slow.assert_faults_used()


def test_a_signal_while_a_job_goes_on_tells_how_to_wait_again() -> None:
    """Interrupted while waiting, the command names the job and the command that waits again."""
    with Sandbox(require_token=SECRET, behaviour=Behaviour(job_seconds=600)) as box:
        with process("draft", "launch", draft(box), "--end", END, env=environment(box)) as child:
            assert child.stderr is not None
            assert child.stderr.readline().startswith("draft launch: job made: ")
            child.send_signal(signal.SIGINT)
            what = end_of(child)
        assert (what.status, what.out) == (130, "")
        assert f"job {box.jobs[0].job_id} was made and continues on the exchange" in what.err
        assert "  fielding draft status launch " in what.err


def test_a_signal_while_a_job_is_made_tells_the_key(box: Sandbox) -> None:
    """Interrupted before the reply to the creation, the command says that there may be a job, and its key."""
    hold = Hold("after")
    box.script(hold, on="launch-from-draft")
    with process("draft", "launch", draft(box), "--end", END, env=environment(box)) as child:
        hold.wait_arrived(HANG)
        child.send_signal(signal.SIGTERM)
        what = end_of(child)
    hold.release()
    assert (what.status, what.out) == (143, "")
    assert f"--idempotency-key {box.jobs[0].idempotency_key}" in what.err
