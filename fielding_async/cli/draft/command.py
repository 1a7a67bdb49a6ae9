"""`fielding draft …`: makes the job that launches or schedules a draft target group, or fetches one."""

from collections.abc import Awaitable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import click
from attrs import asdict

from fielding_async.cli.shared.arguments.options import id_options, timestamp
from fielding_async.cli.shared.arguments.places import GROUP, GroupRef, checked_group, group_ref, named_ids
from fielding_async.cli.shared.exit_status import perform, reporting_errors
from fielding_async.cli.shared.jobs.flow import ask, job_options, key_of, make_and_wait, status_options
from fielding_async.cli.shared.jobs.texts import Asked, Order, send_again
from fielding_async.core.dates import to_text
from fielding_async.core.errors import ConfigurationError
from fielding_async.core.ids import check_plain_id

if TYPE_CHECKING:
    from fielding_async import DraftJob, FieldingSession

__all__ = ["draft"]

Action = Literal["launch", "schedule"]

_GROUP = click.argument("group", metavar="TARGET_GROUP")
_END = click.option(
    "--end", callback=timestamp, metavar="DATETIME", required=True, help="When fielding ends: RFC 3339, with a zone."
)


@click.group()
def draft() -> None:
    """Launch or schedule a draft target group.

    A draft has no fielding run yet. The exchange checks the draft and makes the run in a job. The command waits for
    this job and shows the run. It makes one idempotency key and sends it with every retry, so there is only one job
    even if the request is sent several times.

    Exit status: 0 done, 1 the job or the command failed, 2 bad arguments or settings, 3 it is unknown whether the job
    was made, or how it ended.
    """


@draft.command()
@_GROUP
@id_options("account", "project")
@_END
@job_options
def launch(
    group: str,
    account: int | None,
    project: str | None,
    end: datetime,
    idempotency_key: str | None,
    timeout: float | None,
    wait: bool,
    as_json: bool,
) -> None:
    """Launch a draft target group now.

    TARGET_GROUP is ACCOUNT/PROJECT/TARGET_GROUP; or its id alone, with --account and --project.

    \b
    Example:
      fielding draft launch 101/01J...P0/01J...P1 --end 2026-08-31T18:00:00Z
    """
    asked = Asked(doing="draft launch", timeout=timeout, wait=wait, as_json=as_json)
    _perform("launch", group_ref(group, account, project), None, end, idempotency_key, asked)


@draft.command()
@_GROUP
@id_options("account", "project")
@click.option(
    "--start",
    callback=timestamp,
    metavar="DATETIME",
    required=True,
    help="When fielding starts: RFC 3339, with a zone.",
)
@_END
@job_options
def schedule(
    group: str,
    account: int | None,
    project: str | None,
    start: datetime,
    end: datetime,
    idempotency_key: str | None,
    timeout: float | None,
    wait: bool,
    as_json: bool,
) -> None:
    """Schedule a draft target group to go live at --start.

    TARGET_GROUP is ACCOUNT/PROJECT/TARGET_GROUP; or its id alone, with --account and --project.

    \b
    Example:
      fielding draft schedule 101/01J...P0/01J...P1 \\
        --start 2026-08-01T09:00:00+02:00 --end 2026-08-31T18:00:00+02:00
    """
    place = group_ref(group, account, project)
    if end <= start:
        raise click.UsageError("--end must be after --start.")
    asked = Asked(doing="draft schedule", timeout=timeout, wait=wait, as_json=as_json)
    _perform("schedule", place, start, end, idempotency_key, asked)


def _perform(
    action: Action, place: GroupRef, start: datetime | None, end: datetime, idempotency_key: str | None, asked: Asked
) -> None:
    with reporting_errors(doing=asked.doing, as_json=asked.as_json):
        key = key_of(idempotency_key)
    dates = {} if start is None else {"start": start}
    dates["end"] = end
    words = ["draft", action, str(place)]
    words += [word for name, date in dates.items() for word in (f"--{name}", to_text(date))]
    order = Order(**asdict(asked), send_again=send_again(words, key, asked))

    def make(fielding: "FieldingSession", limit: Mapping[str, Any]) -> "Awaitable[DraftJob]":
        handle = fielding.project(place.account_id, place.project_id).target_group(place.target_group_id)
        if start is None:
            return handle.launch_from_draft(end_fielding_at=end, idempotency_key=key, **limit)
        return handle.schedule_from_draft(start_fielding_at=start, end_fielding_at=end, idempotency_key=key, **limit)

    async def work() -> int:
        from .display import DraftView

        return await make_and_wait(order, make, DraftView(action, place, order, send_again=order.send_again))

    perform(work, doing=asked.doing, as_json=asked.as_json)


@draft.command()
@click.argument("action", metavar="ACTION", type=click.Choice(["launch", "schedule"]))
@click.argument("job", metavar="JOB")
@id_options("account", "project", "target_group")
@status_options
def status(
    action: Action,
    job: str,
    account: int | None,
    project: str | None,
    target_group: str | None,
    timeout: float | None,
    wait: bool,
    as_json: bool,
) -> None:
    """Show a draft job that was made earlier.

    The job is shown as it is now or, with --wait, when it has ended. ACTION is the action of the job: launch or
    schedule. JOB is ACCOUNT/PROJECT/TARGET_GROUP/JOB; or the job's id alone, with --account, --project and
    --target-group.

    Exit status: 0 done, 1 the job failed, 2 bad arguments or settings, 3 the job has not ended.

    \b
    Example:
      fielding draft status launch 101/01J...P0/01J...P1/JOB --wait
    """
    options = {"--account": account, "--project": project, "--target-group": target_group}
    number, project_id, group_id, job_id = named_ids(job, "JOB", "job", f"{GROUP}/JOB", options)
    place = checked_group(number, project_id, group_id)
    try:
        check_plain_id("job_id", job_id)
    except ConfigurationError as error:
        raise click.UsageError(error.message) from None
    asked = Asked(doing=f"draft status {action}", timeout=timeout, wait=wait, as_json=as_json)

    def job_of(fielding: "FieldingSession") -> "DraftJob":
        return fielding.draft_job(place.account_id, place.project_id, place.target_group_id, job_id, kind=action)

    async def work() -> int:
        from .display import DraftView

        return await ask(asked, job_of, DraftView(action, place, asked))

    perform(work, doing=asked.doing, as_json=as_json)
