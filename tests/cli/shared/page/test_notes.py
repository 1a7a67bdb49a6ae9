"""What workers learned too late stands on the page of a plan, with nothing in it that HTML gives a meaning to."""

from fielding_async.cli.shared.page.document import page

from .journals import BAD, report, row


def test_notes_are_listed_and_escaped() -> None:
    """In a section of their own; the first fifty of them, and how many more there are."""
    text = page(report(row(0), notes=(f"row no. 0: {BAD}", *(f"row no. {number}: x" for number in range(1, 60)))))
    assert "Learned after a lease was over" in text
    assert BAD not in text
    assert "row no. 49: x" in text
    assert "row no. 50: x" not in text
    assert "And 10 more." in text


def test_without_notes_there_is_no_such_section() -> None:
    """As for every journal."""
    assert "Learned after" not in page(report(row(0)))
