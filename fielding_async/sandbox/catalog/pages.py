"""Pages of a list, and the opaque cursors between them."""

from collections.abc import Callable, Sequence
from hashlib import blake2b
from itertools import count
from typing import Any, Literal
from uuid import UUID

from attrs import frozen

from fielding_async.sandbox.serving.query_form import Query

__all__ = ["Cursors", "EndlessLists", "LastCursor", "Page", "PageForm", "UnknownCursor", "cut_page"]

LastCursor = Literal["absent", "null", "empty"]
"""The form of `next_cursor` if there is no next page; see `Behaviour.last_cursor`."""

EndlessLists = Literal["never", "same-cursor", "first-page", "fresh-cursors"]
"""Whether lists end, and what follows the last page if not; see `Behaviour.endless_lists`."""


class UnknownCursor(Exception):  # noqa: N818 - answered with 400
    """A cursor that this list has not given out. `args` is the name of the parameter."""


class Cursors:
    """The cursors given out. One and the same place of a list always has the same cursor."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._places: dict[tuple[str, str], int] = {}
        self._fresh = count()

    def give(self, listed: str, place: int, *, fresh: bool = False) -> str:
        """Return a cursor for the place of a list, given out before or (`fresh`) never."""
        named = f"{self._seed}/{listed}/{place}/{next(self._fresh) if fresh else ''}"
        cursor = str(UUID(bytes=blake2b(named.encode(), digest_size=16).digest(), version=4))
        self._places[listed, cursor] = place
        return cursor

    def place(self, listed: str, cursor: str, name: str) -> int:
        """Return the place of a cursor. Raises `UnknownCursor`."""
        place = self._places.get((listed, cursor))
        if place is None:
            raise UnknownCursor(name)
        return place


@frozen(kw_only=True)
class PageForm:
    """How pages are sent: see `Behaviour`."""

    last_cursor: LastCursor
    endless: EndlessLists
    more_if_before: bool


@frozen
class Page:
    """A page of a list: its entries, and the fields that lead on."""

    entries: list[Any]
    has_more: bool
    cursor: dict[str, str | None]


def cut_page(
    listed: str,
    entries: Sequence[Any],
    first: int,
    passes: Callable[[Any], bool],
    query: Query,
    cursors: Cursors,
    form: PageForm,
) -> Page:
    """Return the page of `listed` that a query asks for, of the entries that pass.

    `first`: the place of the first entry; the places that follow are counted on. Raises `UnknownCursor`.
    """
    last = first + len(entries)
    start = max(first, cursors.place(listed, query.start_after, "start_after") + 1) if query.start_after else first
    stop = min(last, cursors.place(listed, query.end_before, "end_before")) if query.end_before else last
    step = -1 if query.end_before and not query.start_after else 1
    places = range(start, stop)[::step]
    found: list[int] = []
    beyond = False
    for place in places:
        if passes(entries[place - first]):
            if len(found) == query.page_size:
                beyond = True
                break
            found.append(place)
    if step < 0:
        found.reverse()
        beyond = bool(found)  # what end_before names comes after it
    chosen = [entries[place - first] for place in found]
    if beyond:
        return Page(chosen, True, {"next_cursor": cursors.give(listed, found[-1])})
    if form.endless != "never" and last > first:
        return Page(chosen, True, {"next_cursor": _endless(listed, first, last, query, cursors, form.endless)})
    has_more = form.more_if_before and start > first
    match form.last_cursor:
        case "absent":
            return Page(chosen, has_more, {})
        case "null":
            return Page(chosen, has_more, {"next_cursor": None})
        case "empty":
            return Page(chosen, has_more, {"next_cursor": ""})


def _endless(listed: str, first: int, last: int, query: Query, cursors: Cursors, endless: EndlessLists) -> str:
    match endless:
        case "fresh-cursors":
            return cursors.give(listed, last - 1, fresh=True)
        case "same-cursor" if query.start_after:
            return query.start_after
        case _:
            return cursors.give(listed, first - 1)
