"""Pages of lists, and where a list ends.

A page names the cursor under which the next one is fetched. A list ends with a page that has no cursor, an empty one,
or `has_more: false`. Nothing in the API promises that a server ever sends such a page, so `PageOrder` ends what does
not advance: a cursor or a page that came before, and pages without entries one after the other.
"""

from collections.abc import Iterable
from typing import Generic, TypeVar

from attrs import frozen

from fielding_async.core.errors import ProtocolError

from .fields import Fields

__all__ = ["Page", "PageOrder", "page_of"]

_T = TypeVar("_T")
_MOST_EMPTY = 100
_MOST_PAGES = 100_000
_LONGEST_CURSOR = 4096  # characters: it is sent in a URL


@frozen
class Page(Generic[_T]):
    """A page of a list. `mark`: the same for two pages of the same entries; `None` if they have no ids."""

    items: tuple[_T, ...]
    next_cursor: str | None = None
    mark: int | None = None


def page_of(items: Iterable[_T], ids: Iterable[object], body: Fields) -> Page[_T]:
    """Return the page of these entries with these ids, with the cursor that its body names.

    Raises `ProtocolError` for a cursor that cannot be sent back.
    """
    named = tuple(ids)
    mark = hash(named) if any(entry is not None for entry in named) else None
    cursor = body.data.get("next_cursor")
    if cursor is not None and cursor != "":
        cursor = body.needed_text("next_cursor")
        if len(cursor) > _LONGEST_CURSOR:
            raise ProtocolError(f"{body.what}: a cursor of {len(cursor)} characters @ $.next_cursor")
    if not cursor or body.flag("has_more") is False:
        cursor = None
    return Page(tuple(items), cursor, mark)


class PageOrder:
    """The pages of one iteration over a list, in their order."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._cursors: set[str] = set()
        self._marks: set[int] = set()
        self._pages = 0
        self._empty = 0

    def check_new(self, page: Page[_T]) -> None:
        """Raise `ProtocolError` if a page of the same entries came before."""
        if page.mark is not None:
            if page.mark in self._marks:
                raise self._endless("a page of the same entries came before")
            self._marks.add(page.mark)

    def cursor_after(self, page: Page[_T]) -> str | None:
        """Return the cursor of the next page; `None`: it is the last. Raises `ProtocolError` if there is no end."""
        cursor = page.next_cursor
        self._pages += 1
        self._empty = 0 if page.items else self._empty + 1
        if cursor is None:
            return None
        if cursor in self._cursors:
            raise self._endless(f"the cursor {cursor[:80]!r} came before")
        self._cursors.add(cursor)
        if self._empty >= _MOST_EMPTY:
            raise self._endless(f"{self._empty} pages without entries came one after the other")
        if self._pages >= _MOST_PAGES:
            raise self._endless(f"{self._pages} pages came")
        return cursor

    def _endless(self, why: str) -> ProtocolError:
        return ProtocolError(f"{self._what}: the list would never end ({why})")
