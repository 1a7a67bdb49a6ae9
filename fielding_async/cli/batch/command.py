"""`fielding batch …`: makes one bulk job over many target groups of a project, and waits for it."""

import asyncio
import shlex
import sys
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import frozen

from fielding_async.cli.shared.exit_status import Exit, perform, report_error, reporting_errors
from fielding_async.cli.shared.options import json_option, timeout_option
from fielding_async.cli.shared.output import stdout_console, write_json, write_stderr, write_stdout
from fielding_async.core.errors import FieldingError, JobFailedError, OutcomeUnknownError
from fielding_async.core.ids import check_account_id, check_idempotency_key, check_ulid

from .target_group_ids import LocatedId, check_ids, parse_ids, read_ids

if TYPE_CHECKING:
    from fielding_async import BatchJob, Project

__all__ = ["batch"]

_STDIN = "-"
_INLINE = 20  # up to so many ids are arguments of the command that sends the request again


@frozen(kw_only=True)
class Order:
    """What the command was asked to do: its arguments, checked. `sources`: the arguments that name the ids."""

    action: str
    account: int
    project: str
    groups: tuple[str, ...]
    sources: tuple[str, ...]
    key: str
    timeout: float | None
    wait: bool
    as_json: bool

    def again(self) -> str:
        """Return the command that sends the same request again."""
        words = ["fielding", "batch", self.action, "--account", str(self.account), "--project", self.project]
        words += ["--idempotency-key", self.key]
        words += [] if self.wait else ["--no-wait"]
        words += ["--json"] if self.as_json else []
        words += [] if self.timeout is None else ["--timeout", f"{self.timeout:g}"]
        if len(self.groups) <= _INLINE:
            return shlex.join([*words, *self.groups])
        return shlex.join([*words, *self.sources])


@click.group()
def batch() -> None:
    """Act on many target groups of a project with one bulk job.

    The job's idempotency key is made here and kept for every retry, so there is one job however often the request has
    to be sent. The exchange carries the job out by itself; the command waits for it and shows what became of each
    target group.

    Exit status: 0 all updated, 1 some failed or missing, 2 bad arguments or settings, 3 it cannot be told whether the
    job was made, or how it ended.
    """


def _command(action: str, what: str) -> click.Command:
    text = f"""{what}

    IDs are those of target groups: arguments, lines of a file (--from FILE), or lines of standard input (-). In
    files, blank lines and what follows a # are passed over.

    \b
    Examples:
      fielding batch {action} --account 101 --project ID --from ids.txt
      fielding batch {action} --account 101 --project ID 01J...P1 01J...P2
      cut -d, -f1 ids.csv | fielding batch {action} --account 101 --project ID -
    """

    @click.command(action, help=text)
    @click.argument("ids", metavar="[ID]...", nargs=-1)
    @click.option("--account", type=int, required=True, metavar="NUMBER", help="Account id.")
    @click.option("--project", required=True, metavar="ID", help="Project id (26 characters).")
    @click.option(
        "--from",
        "files",
        multiple=True,
        metavar="FILE",
        type=click.Path(path_type=str),
        help="Read ids from a file, one a line; - is standard input. May be repeated.",
    )
    @click.option(
        "--idempotency-key",
        metavar="KEY",
        help="Send an earlier request again: under the same key there is one job only. [default: a new one]",
    )
    @timeout_option("Give up waiting after so many seconds; the job goes on by itself. [default: 3600]")
    @click.option("--wait/--no-wait", default=True, help="Wait for the job to end, or only make it. [default: wait]")
    @json_option
    def command(
        ids: tuple[str, ...],
        account: int,
        project: str,
        files: tuple[str, ...],
        idempotency_key: str | None,
        timeout: float | None,
        wait: bool,
        as_json: bool,
    ) -> None:
        doing = f"batch {action}"
        with reporting_errors(doing=doing, as_json=as_json):
            # read before the event loop runs, so that Ctrl-C ends a wait for standard input
            order = Order(
                action=action,
                account=check_account_id(account),
                project=check_ulid("project_id", project),
                groups=check_ids(_collect_ids(ids, files)),
                sources=(*(word for name in files for word in ("--from", name)), *ids),
                key=str(uuid.uuid4()) if idempotency_key is None else check_idempotency_key(idempotency_key),
                timeout=timeout,
                wait=wait,
                as_json=as_json,
            )
        perform(lambda: _make_and_wait(order), doing=doing, as_json=as_json)

    return command


def _collect_ids(ids: tuple[str, ...], files: tuple[str, ...]) -> list[LocatedId]:
    found: list[LocatedId] = []
    sources = [*((name, True) for name in files), *((name, False) for name in ids)]
    for name, is_file in sources:
        if name == _STDIN:
            found += parse_ids(sys.stdin.buffer.read(), "standard input")
        elif is_file:
            found += read_ids(Path(name))
        else:
            found.append(LocatedId(name, "argument"))
    return found


async def _make_and_wait(order: Order) -> int:
    from fielding_async import FieldingSession

    loop = asyncio.get_running_loop()
    deadline = None if order.timeout is None else loop.time() + order.timeout
    async with FieldingSession() as fielding:
        job = await _make_job(order, fielding.project(order.account, order.project))
        if not order.wait:
            _report_made(order, job)
            return Exit.DONE
        return await _wait_for(order, job, None if deadline is None else max(deadline - loop.time(), 0.001))


async def _make_job(order: Order, project: "Project") -> "BatchJob":
    make: Callable[..., Awaitable[BatchJob]] = getattr(project, order.action)
    limit: dict[str, Any] = {} if order.timeout is None else {"timeout": order.timeout}
    try:
        return await make(order.groups, idempotency_key=order.key, **limit)
    except OutcomeUnknownError as error:
        report_error(error, doing=f"batch {order.action}", as_json=order.as_json, send_again=order.again())
        _write_retry_command(
            order, "the job may or may not have been made; this makes sure of it, and makes no second one:"
        )
        raise click.exceptions.Exit(Exit.UNKNOWN) from None
    except asyncio.CancelledError:
        _write_retry_command(
            order, "the job may or may not have been made; this makes sure of it, and makes no second one:"
        )
        raise


def _write_retry_command(order: Order, why: str) -> None:
    same = len(order.groups) > _INLINE and _STDIN in order.sources
    write_stderr(f"fielding: {why}")
    write_stderr(
        f"  {order.again()}" + ("\n  (with the same ids, in the same order, on standard input)" if same else "")
    )


def _report_made(order: Order, job: "BatchJob") -> None:
    from .display import made_object

    if order.as_json:
        write_json(made_object(order.action, job, order.again()))
        return
    write_stdout(f"batch {order.action}: job made, for {len(order.groups)} target groups; it goes on by itself")
    write_stdout(f"  job id           {job.job_id}\n  idempotency key  {order.key}\n  trace id         {job.trace_id}")


async def _wait_for(order: Order, job: "BatchJob", timeout: float | None) -> int:
    from .display import JobProgress, result_lines, result_object, result_table

    limit: dict[str, Any] = {} if timeout is None else {"timeout": timeout}
    doing = f"batch {order.action}"
    try:
        with JobProgress(doing, len(order.groups)) as progress:
            result = await job.wait(on_poll=progress.on_poll, **limit)
    except JobFailedError as error:
        report_error(error, doing=doing, as_json=order.as_json, job_id=job.job_id)
        return Exit.FAILED
    except FieldingError as error:
        report_error(error, doing=doing, as_json=order.as_json, job_id=job.job_id, send_again=order.again())
        _write_retry_command(order, f"job {job.job_id} was made and goes on by itself; to wait for it again:")
        return Exit.UNKNOWN
    except asyncio.CancelledError:
        _write_retry_command(order, f"job {job.job_id} was made and goes on by itself; to wait for it again:")
        raise
    if order.as_json:
        write_json(result_object(order.action, result, job))
    else:
        table = result_table(result)
        if table is not None:
            stdout_console().print(table)
        write_stdout("\n".join(result_lines(doing, result)))
    return Exit.FAILED if result.failed or result.missing else Exit.DONE


for _action, _what in (
    ("launch", "Launch the scheduled runs of target groups."),
    ("pause", "Pause the live runs of target groups."),
    ("resume", "Resume the paused runs of target groups."),
    ("complete", "Complete the runs of target groups."),
    ("relaunch", "Relaunch the completed runs of target groups."),
):
    batch.add_command(_command(_action, _what))
