"""`fielding plans create-tables`."""

import click

from fielding_async.cli.shared.arguments.options import json_option
from fielding_async.cli.shared.exit_status import Exit
from fielding_async.cli.shared.output import write_json, write_stdout

from .running import with_plans

__all__ = ["create_tables"]


@click.command("create-tables")
@json_option
def create_tables(as_json: bool) -> None:
    """Make the tables of plans in the database, or migrate older ones.

    The tables are named fielding_plan… and are made in the first schema of the user's search_path. Any number of
    processes may run this command at once; if the tables are there already, it changes nothing. No other command makes
    tables.

    Exit status: 0 the tables are there, 2 bad settings, no access, or tables of a newer version, 3 the database
    cannot be used now.

    \b
    Example:
      export FIELDING_PLANS_URL=postgresql://user:password@host:5432/database
      fielding plans create-tables
    """
    from fielding_async.plans import PostgresPlans

    async def work(plans: PostgresPlans) -> int:
        is_changed = await plans.create_tables()
        if as_json:
            write_json({"kind": "tables", "changed": is_changed})
        else:
            write_stdout("the tables were made, or migrated" if is_changed else "the tables are there already")
        return Exit.DONE

    with_plans(work, doing="plans create-tables", as_json=as_json)
