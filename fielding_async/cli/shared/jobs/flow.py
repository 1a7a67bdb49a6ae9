"""The course of a command about a job: make it and wait for it, or ask for one that was made."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click

from fielding_async.cli.shared.arguments.options import json_option, timeout_option
from fielding_async.cli.shared.exit_status import Exit, report_error
from fielding_async.cli.shared.output import write_stderr
from fielding_async.core.errors import (
    DeadlineExceededError,
    FieldingError,
    JobFailedError,
    NotFoundError,
    OutcomeUnknownError,
    RateLimitError,
)
from fielding_async.core.ids import check_idempotency_key

from .texts import Asked, Order

if TYPE_CHECKING:
    from fielding_async import FieldingSession

__all__ = ["JobView", "ask", "job_options", "key_of", "make_and_wait", "status_options"]

_Command = TypeVar("_Command", bound=Callable[..., Any])
_UNSURE = "it is unknown whether the job was made; to make sure of it, without a second job:"


class JobView(Protocol):
    """Shows the jobs of one command."""

    def begun(self, job: Any, /) -> str:
        """Return the text of a job that is waited for."""
        ...

    def polled(self, result: Any, /) -> str:
        """Return the text of a job as a poll returned it."""
        ...

    def write_made(self, job: Any, /) -> None:
        """Write a job that was made and is not waited for."""
        ...

    def write_result(self, job: Any, result: Any, more: Mapping[str, str], /) -> int:
        """Write a job as it is, and return the exit status for one that has ended. `more`: members of the object."""
        ...

    def failure(self, result: Any, /) -> Mapping[str, Any]:
        """Return what the error of a job that failed does not say itself, as members of its object."""
        ...

    def again(self, job: Any, /) -> Mapping[str, str]:
        """Return the command that waits for the job again, by its name in objects."""
        ...


def job_options(command: _Command) -> _Command:
    """Add the options of a command that makes a job."""
    for decorate in (
        json_option,
        click.option(
            "--wait/--no-wait", default=True, help="Wait until the job has ended, or only make it. [default: wait]"
        ),
        timeout_option("Stop waiting after this many seconds; the exchange continues the job. [default: 3600]"),
        click.option(
            "--idempotency-key",
            metavar="KEY",
            help="Key of an earlier request, to send it again without making a second job. [default: a new key]",
        ),
    ):
        command = decorate(command)
    return command


def status_options(command: _Command) -> _Command:
    """Add the options of a command that asks for a job."""
    for decorate in (
        json_option,
        timeout_option("Give up after this many seconds. [default: 60; with --wait 3600]"),
        click.option(
            "--wait/--no-wait",
            default=False,
            help="Wait until the job has ended, or fetch it once. [default: fetch it once]",
        ),
    ):
        command = decorate(command)
    return command


def key_of(idempotency_key: str | None) -> str:
    """Return the idempotency key of a request: that of an earlier one, checked, or a new one."""
    return str(uuid.uuid4()) if idempotency_key is None else check_idempotency_key(idempotency_key)


async def make_and_wait(
    order: Order, make: "Callable[[FieldingSession, Mapping[str, Any]], Awaitable[Any]]", view: JobView
) -> int:
    """Make a job and wait for it. `make`: makes it, with these arguments. Returns the exit status."""
    from fielding_async import FieldingSession

    loop = asyncio.get_running_loop()
    deadline = None if order.timeout is None else loop.time() + order.timeout
    async with FieldingSession() as fielding:
        job = await _make(order, make(fielding, _limit(order.timeout)))
        if not order.wait:
            view.write_made(job)
            return Exit.DONE
        return await _wait_for(order, job, None if deadline is None else max(deadline - loop.time(), 0.001), view)


def _limit(timeout: float | None) -> Mapping[str, Any]:
    return {} if timeout is None else {"timeout": timeout}


async def _make(order: Order, making: Awaitable[Any]) -> Any:
    try:
        return await making
    except OutcomeUnknownError as error:
        report_error(error, doing=order.doing, as_json=order.as_json, send_again=order.send_again)
        write_command(_UNSURE, order.send_again, order.hint)
        raise click.exceptions.Exit(Exit.UNKNOWN) from None
    except asyncio.CancelledError:
        write_command(_UNSURE, order.send_again, order.hint)
        raise


def write_command(why: str, command: str, hint: str = "") -> None:
    """Write a command that goes on, and why, to stderr."""
    write_stderr(f"fielding: {why}\n  {command}" + (f"\n  ({hint})" if hint else ""))


async def _wait_for(order: Order, job: Any, timeout: float | None, view: JobView) -> int:
    ((name, command),) = view.again(job).items()
    why = f"job {job.job_id} was made and continues on the exchange; to wait for it again:"
    hint = order.hint if command == order.send_again else ""
    try:
        result = await _ended(job, timeout, view)
    except JobFailedError as error:
        more = view.failure(error.result)
        report_error(error, doing=order.doing, as_json=order.as_json, job_id=job.job_id, **more)
        return Exit.FAILED
    except FieldingError as error:
        report_error(error, doing=order.doing, as_json=order.as_json, job_id=job.job_id, **{name: command})
        write_command(why, command, hint)
        return Exit.UNKNOWN
    except asyncio.CancelledError:
        write_command(why, command, hint)
        raise
    return view.write_result(job, result, {})


async def _ended(job: Any, timeout: float | None, view: JobView) -> Any:
    from .progress import JobProgress

    with JobProgress(view.begun(job)) as progress:

        def show(result: Any) -> None:
            progress.show(view.polled(result))

        return await job.wait(on_poll=show, **_limit(timeout))


async def ask(asked: Asked, job_of: "Callable[[FieldingSession], Any]", view: JobView) -> int:
    """Ask for a job that was made, and wait for it if that is wanted. Returns the exit status."""
    from fielding_async import FieldingSession

    loop = asyncio.get_running_loop()
    deadline = None if asked.timeout is None else loop.time() + asked.timeout
    async with FieldingSession() as fielding:
        job = job_of(fielding)
        ((name, command),) = view.again(job).items()
        why = f"job {job.job_id} had not ended when it was last fetched; to fetch it again:"
        goes_on = False
        try:
            # first without a wait, which would take a 404 for a job that cannot be seen yet
            result = await job.status(**_limit(asked.timeout))
            if asked.wait and not result.ended:
                goes_on = True
                result = await _ended(job, None if deadline is None else max(deadline - loop.time(), 0.001), view)
        except JobFailedError as error:
            result = error.result
        except NotFoundError as error:
            report_error(error, doing=asked.doing, as_json=asked.as_json, job_id=job.job_id)
            write_stderr("  ACTION must be the action of the job, and JOB its id")
            return Exit.FAILED
        except FieldingError as error:
            if not goes_on and not isinstance(error, DeadlineExceededError | RateLimitError):
                raise
            report_error(error, doing=asked.doing, as_json=asked.as_json, job_id=job.job_id, **{name: command})
            write_command(why, command)
            return Exit.UNKNOWN
        except asyncio.CancelledError:
            write_command(why, command)
            raise
    status = view.write_result(job, result, {} if result.ended else {name: command})
    if result.ended:
        return status
    write_command(why, command)
    return Exit.UNKNOWN
