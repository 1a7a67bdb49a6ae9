"""The fault table of the explanation says what the tests see."""

from .table import PAGE, build, replaced


async def test_the_fault_table_is_what_happens() -> None:
    """Every fault on every kind of write ends as the page's table says, and as the exchange's own history bears out."""
    page = PAGE.read_text()
    assert replaced(page, await build()) == page, (
        f"{PAGE.name} is out of date: run `python -m tests.proofs.faults.table --write` and look at what has changed"
    )
