"""Where a list ends, and which lists would never end."""

from typing import Any

import pytest

from fielding_async import ProtocolError
from fielding_async.core.wire.discovery.fields import top_fields
from fielding_async.core.wire.discovery.pages import Page, PageOrder, page_of


def page(cursor: Any = None, *, ids: tuple[Any, ...] = (), **fields: Any) -> Page[Any]:
    """Return a page with the ids as its entries."""
    return page_of(ids, ids, top_fields({"next_cursor": cursor, **fields}, "list", None))


@pytest.mark.parametrize(
    "last", [page(), page(""), page("more", has_more=False), page_of([], [], top_fields({}, "list", None))]
)
def test_a_list_ends_without_a_cursor_or_without_more(last: Page[Any]) -> None:
    """A cursor that is absent, null or empty ends it, and so does `has_more: false`."""
    assert PageOrder("list").cursor_after(last) is None


def test_has_more_alone_leads_nowhere() -> None:
    """`has_more` may mean an earlier page."""
    assert PageOrder("list").cursor_after(page(has_more=True)) is None


@pytest.mark.parametrize("has_more", [True, None, "yes"])
def test_a_cursor_leads_on(has_more: Any) -> None:
    """Unless it is said that there is no more, the cursor counts."""
    assert PageOrder("list").cursor_after(page("next", has_more=has_more)) == "next"


@pytest.mark.parametrize("cursor", [5, ["x"], True, "x" * 4097])
def test_a_cursor_that_cannot_be_sent_back_is_refused(cursor: Any) -> None:
    """It is no page that can be left out of a list in silence."""
    with pytest.raises(ProtocolError, match="next_cursor"):
        page(cursor)


def test_a_cursor_that_came_before_ends_the_list() -> None:
    """It would lead in a circle, however long."""
    order = PageOrder("list-projects")
    for number in range(1000):
        assert order.cursor_after(page(f"c{number}", ids=(number,)))
    with pytest.raises(ProtocolError, match=r"list-projects: the list would never end \(the cursor 'c3' came"):
        order.cursor_after(page("c3", ids=(1000,)))


def test_a_page_that_came_before_ends_the_list() -> None:
    """A server that takes no notice of cursors sends its first page for ever, with cursors that differ."""
    order = PageOrder("list")
    order.check_new(page("a", ids=("x", "y")))
    order.check_new(page("b", ids=("y", "x")))
    with pytest.raises(ProtocolError, match="a page of the same entries came before"):
        order.check_new(page("c", ids=("x", "y")))


def test_pages_without_ids_are_not_compared() -> None:
    """A change log whose entries have no ids is no circle."""
    order = PageOrder("list")
    order.check_new(page("a", ids=(None, None)))
    order.check_new(page("b", ids=(None, None)))


def test_empty_pages_are_followed_for_a_while() -> None:
    """A filter may leave pages empty; a hundred in a row is no list."""
    order = PageOrder("list")
    for number in range(99):
        assert order.cursor_after(page(f"a{number}"))
    assert order.cursor_after(page("entries", ids=("x",)))
    for number in range(99):
        assert order.cursor_after(page(f"b{number}"))
    with pytest.raises(ProtocolError, match="100 pages without entries"):
        order.cursor_after(page("last"))


def test_no_list_has_more_than_100_000_pages() -> None:
    """New entries under new cursors, for ever, end as well."""
    order = PageOrder("list")
    for number in range(99_999):
        order.cursor_after(Page((number,), f"c{number}", number))
    with pytest.raises(ProtocolError, match="100000 pages came"):
        order.cursor_after(Page((1,), "c", -5))
