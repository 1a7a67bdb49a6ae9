"""What was changed in a plan since its journal was written, as far as the digests of its rows show. Pure."""

from collections import Counter
from collections.abc import Callable, Sequence

__all__ = ["changes_text"]

_NONE = 0  # the digest of a row that the journal has no record of


def changes_text(record: Sequence[int], plan: Sequence[int], line: Callable[[int], int], *, have_ended: bool) -> str:
    """Return what differs between the rows on record and those of a plan, in words, with a remedy where there is one.

    `record`, `plan`: the digests of their rows in order, 0 for a row that is not on record. `line` returns the line of
    a row of the plan by its number from 0. `have_ended`: whether all rows on record have ended. A journal does not say
    how many rows its plan had: rows of the plan behind the last one on record were added, or were never sent.
    """
    same = _same_rows(record, plan)
    shorter = min(len(record), len(plan))
    if same == shorter:
        return _tail_text(len(record), len(plan), line, have_ended=have_ended)
    at_end = _same_rows(record[same:][::-1], plan[same:][::-1])
    if same + at_end == shorter:
        return _inserted_text(same, len(plan) - len(record), line)
    places = [number for number in range(same, shorter) if record[number] not in {_NONE, plan[number]}]
    was, is_now = Counter(record[number] for number in places), Counter(plan[number] for number in places)
    if not was & is_now and (same or len(places) < shorter):
        where = _lines_text(line(places[0]), line(places[-1]), gaps=len(places) <= places[-1] - places[0])
        text = f"{_first_text(same, line)}{_rows(len(places))} changed ({where})"
        more = len(plan) - len(record)
        if more > 0:
            text += f"; {_rows(more, 'is', 'are')} behind those on record (added, or never sent)"
        return f"{text}; {_rows(-more)} removed at the end" if more < 0 else text
    was = Counter(digest for digest in record[same:] if digest != _NONE)
    is_now = Counter(plan[same:])
    new, gone = (is_now - was).total(), (was - is_now).total()
    if not same and not was & is_now:
        return "none of the rows on record is in this plan"
    if not new and not gone:
        return f"{_first_text(same, line)}the rows from line {line(same)} on are in another order"
    return (
        f"{_first_text(same, line)}from line {line(same)} on they differ: {_rows(new, 'is', 'are')} not on record"
        f" (added, changed, or never sent), and {_rows(gone)} removed or changed"
    )


def _same_rows(record: Sequence[int], plan: Sequence[int]) -> int:
    """Return how many rows are the same at the start. A row without a record may be any."""
    for number, (was, is_now) in enumerate(zip(record, plan, strict=False)):
        if was not in {_NONE, is_now}:
            return number
    return min(len(record), len(plan))


def _tail_text(record: int, plan: int, line: Callable[[int], int], *, have_ended: bool) -> str:
    """The shorter one is the start of the longer one."""
    if plan == record:
        return "the rows on record are those of this plan; another row was changed"
    if plan < record:
        first = "one row of this plan is the first" if plan == 1 else f"{plan:,} rows of this plan are the first"
        return f"the {first} on record; {_rows(record - plan)} removed after {'it' if plan == 1 else 'them'}"
    if not record:
        return "no row is on record"
    more = plan - record
    text = f"{_first_text(record, line)}{_rows(more)} added after {'it' if record == 1 else 'them'}, or never sent"
    if have_ended:
        text += f": apply {'it' if more == 1 else 'them'} ({_lines_text(line(record), line(plan - 1))}) as a plan of"
        text += f" {'its' if more == 1 else 'their'} own"
    return text


def _inserted_text(same: int, more: int, line: Callable[[int], int]) -> str:
    """All rows of the shorter one are in the longer one, in order, with rows between."""
    if more > 0:
        what = f"{_rows(more)} added ({_lines_text(line(same), line(same + more - 1))})"
    else:
        what = f"{_rows(-more)} removed before line {line(same)}"
    return f"{_first_text(same, line)}{what}, and what follows is the same"


def _first_text(same: int, line: Callable[[int], int]) -> str:
    if not same:
        return ""
    if same == 1:
        return f"the first row (line {line(0)}) is that on record; "
    return f"the first {same:,} rows (up to line {line(same - 1)}) are those on record; "


def _rows(count: int, one: str = "was", many: str = "were") -> str:
    return f"{count:,} row {one}" if count == 1 else f"{count:,} rows {many}"


def _lines_text(first: int, last: int, *, gaps: bool = False) -> str:
    if first == last:
        return f"line {first}"
    return f"between lines {first} and {last}" if gaps else f"lines {first} to {last}"
