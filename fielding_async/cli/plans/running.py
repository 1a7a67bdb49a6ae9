"""Runs a command on the plans of a database, and turns errors into lines and exit statuses."""

import signal
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NoReturn

from fielding_async.cli.shared.exit_status import Exit, perform
from fielding_async.cli.shared.output import printable, write_json, write_stderr
from fielding_async.cli.shared.value_texts import error_object
from fielding_async.core.errors import ConfigurationError, JournalError

if TYPE_CHECKING:
    from fielding_async.plans import PostgresPlans

__all__ = ["with_plans"]


# what is of use only to somebody who writes Python
_FOR_PYTHON = {
    "pass url= or set FIELDING_PLANS_URL: it must be": "set FIELDING_PLANS_URL to",
    ", or await plans.create_tables()": "",
    "; the same call may succeed later": "; the same command may succeed later",
    " or url=": "",
    ", and name the driver with driver=": "",
    "name='": "plan '",
    "plan='": "plan '",
}


def _for_people(message: str) -> str:
    for python, text in _FOR_PYTHON.items():
        message = message.replace(python, text)
    return message


def with_plans(
    work: "Callable[[PostgresPlans], Awaitable[int]]",
    *,
    doing: str,
    as_json: bool,
    on_signal: Callable[[signal.Signals], bool] | None = None,
    has_begun: Callable[[], bool] = lambda: True,
) -> NoReturn:
    """Run `work` on the plans of FIELDING_PLANS_URL, and exit through click with its status.

    A database that cannot be used now exits with 3, wrong settings and tables with 2. The other arguments are those of
    `perform`.
    """

    async def run() -> int:
        from fielding_async.plans import PostgresPlans

        try:
            async with PostgresPlans() as plans:
                return await work(plans)
        except ConfigurationError as error:
            raise ConfigurationError(_for_people(error.message)) from None
        except JournalError as error:
            write_stderr(printable(f"fielding: {doing}: {_for_people(error.message)}"))
            if as_json:
                write_json(error_object(error, exit_status=int(Exit.UNKNOWN)))
            return Exit.UNKNOWN

    perform(run, doing=doing, as_json=as_json, on_signal=on_signal, has_begun=has_begun)
