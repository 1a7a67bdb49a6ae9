"""The page of `--report`: where it may be, and how it is written at the end."""

from pathlib import Path

from fielding_async.cli.shared.output import printable, write_stderr
from fielding_async.cli.shared.plan.checked_plan import CheckedPlan
from fielding_async.core.errors import ConfigurationError

from .order import Order

__all__ = ["check_page", "write_order_page"]

_OPTION = "--report"


def check_page(order: Order) -> None:
    """Raise `ConfigurationError` if the page cannot be written, or would replace a file that the command writes."""
    if order.page is None:
        return
    from fielding_async.cli.shared.page.files import check_page_path

    head = order.journal.with_name(f"{order.journal.name}.head")
    for path in (order.journal, head, order.beside("failed"), order.beside("unknown")):
        if str(order.page.resolve()).casefold() == str(path.resolve()).casefold():
            raise ConfigurationError(f"{_OPTION} {order.page}: {path.name} is written there; name another file")
    check_page_path(_OPTION, order.page)


def write_order_page(order: Order, checked: CheckedPlan) -> Path | None:
    """Write the page of a plan, if one was asked for; return its path, or `None` if there is none.

    A page that cannot be written changes nothing about the rows: that is reported on stderr, with the remedy.
    """
    if order.page is None:
        return None
    from fielding_async.cli.shared.page.document import page
    from fielding_async.cli.shared.page.files import write_page
    from fielding_async.cli.shared.page.reading import read_report

    try:
        check_page(order)  # once more: a file may have been put there while rows were sent
        write_page(order.page, page(read_report(order.journal, total=checked.rows, line_of=checked.line)))
    except (ConfigurationError, OSError) as error:
        reason = error.message if isinstance(error, ConfigurationError) else error.strerror or error
        write_stderr(
            printable(f"fielding: apply: the report could not be written to {order.page}: {reason}")
            + f"\n  to write it: fielding journal report {printable(str(order.journal))}"
        )
        return None
    return order.page
