"""`fielding plans work`: works on a plan, for a while or until it is finished."""

from typing import TYPE_CHECKING

import click

from fielding_async.cli.shared.arguments.numbers import Number
from fielding_async.cli.shared.arguments.options import json_option, pace_options, rate_problem

from .arguments import plan_argument
from .running import with_plans

if TYPE_CHECKING:
    from fielding_async.plans import PostgresPlans

__all__ = ["work"]


@click.command()
@plan_argument
@click.option(
    "--seconds",
    type=Number(min=0, max=1e9),
    default=15.0,
    show_default="15",
    metavar="NUMBER",
    help="Start rows for so long; what is in progress then ends within the time of one attempt.",
)
@click.option("--until-done", is_flag=True, help="Go on until no row of the plan is left, whoever works on them.")
@pace_options
@json_option
def work(name: str, seconds: float, until_done: bool, concurrency: int, rate: float | None, as_json: bool) -> None:
    """Work on a plan, together with any number of other workers on any hosts.

    Each row is performed once, and the rows of one run in their order. Each write is recorded in the database before it
    is sent. So if a worker is killed, another worker continues where it stopped. If FIELDING_SHARED_URL is set, all
    workers together keep one pace, through the Redis at this address.

    Without --until-done, the command ends after --seconds, or earlier if there is nothing to do. Repeat the command as
    long as it exits with 3. With --until-done it also waits for rows that other workers hold, for a plan that is
    paused, and for an exchange or a database that cannot be used now.

    After Ctrl-C or SIGTERM, the command starts no more rows, and waits for the rows in progress. This takes at most the
    time limit of one attempt. After a second signal, the command does not wait.

    The exit status describes the whole plan, not only the rows of this worker: 0 all rows are done, 1 some failed, are
    stuck, or were not sent, 2 bad arguments or settings, or no such plan, 3 rows are left or unknown, or the database
    cannot be used now, 129, 130 and 143 on signals.

    \b
    Examples:
      fielding plans work plan --until-done
      fielding plans work plan --seconds 50 --rate 20 --json
    """
    if (problem := rate_problem(rate)) is not None:
        raise click.UsageError(f"{problem}.")
    from .workers import Order, PlanWork

    order = Order(
        name=name, seconds=seconds, is_until_done=until_done, concurrency=concurrency, rate=rate, as_json=as_json
    )
    execution = PlanWork(order)

    async def run(plans: "PostgresPlans") -> int:
        return await execution.run(plans)

    with_plans(
        run,
        doing="plans work",
        as_json=as_json,
        on_signal=execution.on_signal,
        has_begun=lambda: execution.has_begun,
    )
