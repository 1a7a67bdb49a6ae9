"""`fielding plans …`: the group of its commands."""

import click

from .demo.command import demo
from .listing import list_plans
from .orders import cancel, delete, pause, resume
from .report import report
from .rows import rows
from .status import status
from .submit import submit
from .tables import create_tables
from .undo import undo
from .work import work

__all__ = ["plans"]


@click.group()
def plans() -> None:
    """Plans in PostgreSQL, which any number of hosts work on together.

    The database is that of FIELDING_PLANS_URL, such as postgresql://user:password@host:5432/database.

    \b
    In short (fielding plans demo shows it at work):
      fielding plans create-tables            once
      fielding plans submit plan.csv
      fielding plans work plan --until-done   on as many hosts as there are
      fielding plans status plan --watch
      fielding plans report plan --html plan.html
    """


for _command in (
    create_tables,
    submit,
    list_plans,
    work,
    status,
    report,
    rows,
    undo,
    pause,
    resume,
    cancel,
    delete,
    demo,
):
    plans.add_command(_command)
