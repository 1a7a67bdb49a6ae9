"""`fielding batch …`: makes one bulk job over many target groups of a project and waits for it; or fetches one."""

import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
from attrs import asdict

from fielding_async.cli.shared.arguments.options import FilePath, id_options
from fielding_async.cli.shared.arguments.places import named_ids
from fielding_async.cli.shared.exit_status import perform, reporting_errors
from fielding_async.cli.shared.jobs.flow import ask, job_options, key_of, make_and_wait, status_options
from fielding_async.cli.shared.jobs.texts import Asked, Order, send_again
from fielding_async.core.errors import ConfigurationError
from fielding_async.core.ids import check_parents, check_plain_id

from .target_group_ids import Groups, LocatedId, check_groups, parse_ids, read_ids

if TYPE_CHECKING:
    from fielding_async import BatchJob, FieldingSession

__all__ = ["batch"]

_STDIN = "-"
_INLINE = 20  # up to so many ids are arguments of the command that sends the request again

Action = Literal["launch", "pause", "resume", "complete", "relaunch"]
_ACTIONS: tuple[tuple[Action, str], ...] = (
    ("launch", "Launch the scheduled runs of target groups."),
    ("pause", "Pause the live runs of target groups."),
    ("resume", "Resume the paused runs of target groups."),
    ("complete", "Complete the runs of target groups."),
    ("relaunch", "Relaunch the completed runs of target groups."),
)


@click.group()
def batch() -> None:
    """Act on many target groups of a project with one bulk job.

    The command makes one idempotency key and sends it with every retry, so there is only one job even if the request
    is sent several times. The exchange runs the job; the command waits for it and shows the result of each target
    group. `fielding batch status` shows a job that was made earlier.

    Exit status: 0 all updated, 1 some failed or missing, 2 bad arguments or settings, 3 it is unknown whether the job
    was made, or how it ended.
    """


def _command(action: Action, what: str) -> click.Command:
    text = f"""{what}

    Each TARGET_GROUP is ACCOUNT/PROJECT/TARGET_GROUP, all of one project; or an id alone, with --account and
    --project. Give target groups as arguments, as lines of a file (--from FILE), or as lines of standard input (-).
    Blank lines in files, and text after a #, are ignored.

    \b
    Examples:
      fielding batch {action} 101/01J...P0/01J...P1 101/01J...P0/01J...P2
      fielding batch {action} --account 101 --project ID --from ids.txt
      cut -d, -f1 ids.csv | fielding batch {action} --account 101 --project ID -
    """

    @click.command(action, help=text)
    @click.argument("groups", metavar="[TARGET_GROUP]...", nargs=-1)
    @id_options("account", "project")
    @click.option(
        "--from",
        "files",
        multiple=True,
        metavar="FILE",
        type=FilePath(str),
        help="Read target groups from a file, one per line; - is standard input. May be repeated.",
    )
    @job_options
    def command(
        groups: tuple[str, ...],
        account: int | None,
        project: str | None,
        files: tuple[str, ...],
        idempotency_key: str | None,
        timeout: float | None,
        wait: bool,
        as_json: bool,
    ) -> None:
        doing = f"batch {action}"
        with reporting_errors(doing=doing, as_json=as_json):
            # read before the event loop runs, so that Ctrl-C ends a wait for standard input
            found = check_groups(_collect(groups, files), account, project)
            key = key_of(idempotency_key)
        asked = Asked(doing=doing, timeout=timeout, wait=wait, as_json=as_json)
        sources = [*(word for name in files for word in ("--from", name)), *groups]
        is_short = len(found.ids) <= _INLINE
        parents = (
            ["--account", str(found.account), "--project", found.project] if is_short or account is not None else []
        )
        words = ["batch", action, *parents, *(found.ids if is_short else sources)]
        needs_input = not is_short and _STDIN in sources
        hint = "with the same lines, in the same order, on standard input" if needs_input else ""
        order = Order(**asdict(asked), send_again=send_again(words, key, asked), hint=hint)
        perform(lambda: _make(action, found, key, order), doing=doing, as_json=as_json)

    return command


def _collect(groups: tuple[str, ...], files: tuple[str, ...]) -> list[LocatedId]:
    found: list[LocatedId] = []
    sources = [*((name, True) for name in files), *((name, False) for name in groups)]
    for name, is_file in sources:
        if name == _STDIN:
            found += parse_ids(sys.stdin.buffer.read(), "standard input")
        elif is_file:
            found += read_ids(Path(name))
        else:
            found.append(LocatedId(name, "argument"))
    return found


async def _make(action: Action, found: Groups, key: str, order: Order) -> int:
    from .display import BatchView

    def make(fielding: "FieldingSession", limit: Mapping[str, Any]) -> "Awaitable[BatchJob]":
        project = fielding.project(found.account, found.project)
        made: Callable[..., Awaitable[BatchJob]] = getattr(project, action)
        return made(found.ids, idempotency_key=key, **limit)

    view = BatchView(action, order, f"{found.account}/{found.project}", len(found.ids), order.send_again)
    return await make_and_wait(order, make, view)


for _action, _what in _ACTIONS:
    batch.add_command(_command(_action, _what))


@batch.command()
@click.argument("action", metavar="ACTION", type=click.Choice([action for action, _ in _ACTIONS]))
@click.argument("job", metavar="JOB")
@id_options("account", "project")
@status_options
def status(
    action: Action,
    job: str,
    account: int | None,
    project: str | None,
    timeout: float | None,
    wait: bool,
    as_json: bool,
) -> None:
    """Show a bulk job that was made earlier.

    The job is shown as it is now or, with --wait, when it has ended. ACTION is the action of the job: launch, pause,
    resume, complete or relaunch. JOB is ACCOUNT/PROJECT/JOB; or the job's id alone, with --account and --project. Only
    the command that made the job can list the target groups that are missing from its result.

    Exit status: 0 all updated, 1 some failed, 2 bad arguments or settings, 3 the job has not ended.

    \b
    Examples:
      fielding batch status pause 101/01J...P0/JOB
      fielding batch status pause --account 101 --project ID JOB --wait
    """
    options = {"--account": account, "--project": project}
    number, project_id, job_id = named_ids(job, "JOB", "job", "ACCOUNT/PROJECT/JOB", options)
    try:
        parents = check_parents(int(number), project_id)
        check_plain_id("job_id", job_id)
    except ConfigurationError as error:
        raise click.UsageError(error.message) from None
    asked = Asked(doing=f"batch status {action}", timeout=timeout, wait=wait, as_json=as_json)

    async def work() -> int:
        from .display import BatchView

        view = BatchView(action, asked, f"{number}/{project_id}")
        return await ask(asked, lambda fielding: fielding.batch_job(**parents, job_id=job_id, kind=action), view)

    perform(work, doing=asked.doing, as_json=as_json)
