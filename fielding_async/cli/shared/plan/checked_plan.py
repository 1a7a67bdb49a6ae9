"""Checks a whole plan before anything is sent, and checks that its rows are the same when it is read again. Pure."""

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b, sha256
from itertools import islice
from typing import TypeVar
from zlib import crc32

from attrs import evolve, frozen

from fielding_async.cli.shared.output import printable
from fielding_async.core.errors import ConfigurationError

from .cells.ids import NO_RUN
from .cells.problems import ProblemKind
from .hash_counts import cache_misses, distinct, first_again
from .lines import Place
from .row import BadLine, PlanRow, canonical_text

__all__ = [
    "SHOWN",
    "Block",
    "CheckedPlan",
    "ProblemKind",
    "bad_plan_lines",
    "check_plan",
    "plan_object",
    "rows_left",
    "verified_rows",
]

SHOWN = 20
"""How many bad lines are shown in full. The others are counted by kind of problem."""

_BLOCK = 256  # rows that have a digest in common: all are verified before the first of them is used
_REMEMBERED = 65_536  # runs whose ETags a session keeps by default
_KINDS = 10
_Passed = TypeVar("_Passed")


@frozen
class Block:
    """Rows that are verified together. `first`: the number of the first, from 0. `rows`: how many there are.

    `check_sum`: the CRC-32 of their digests, as an array of 32-bit numbers.
    """

    first: int
    rows: int
    check_sum: int


@frozen(kw_only=True)
class CheckedPlan:
    """What a check found in a plan.

    `rows`: how many rows there are. `actions`: how many rows each action has. `requests`: how many requests the plan
    takes without conflicts and retries, with a GET for each run that the session does not remember.
    `distinct_runs`: how many runs the rows are of. `duplicates`: how many rows say what an earlier row says, the same
    action (and dates) on the same run. `first_duplicate`: the line of the first of them, if the plan has no bad lines.
    `digest`: of the canonical texts of all rows, so that it does not depend on how the file is written. `blocks`: a
    digest for each block of rows. `ends`: the place behind each block, and the check sum of its rows; empty if they
    are not known. `names_no_runs`: the rows name target groups, each of which has one run; then `distinct_runs` counts
    these. `guarded`: how many rows have an `if_match`. `places`: number and line of each row that does not stand on
    the line after the row before it. `bad`: how many lines are not valid rows. `shown`: the first bad lines. `kinds`:
    the problems of all bad lines.
    """

    rows: int
    actions: dict[str, int]
    requests: int
    distinct_runs: int
    duplicates: int
    first_duplicate: int | None
    digest: str
    blocks: tuple[bytes, ...]
    ends: "tuple[array[int], array[int], array[int]]"
    places: tuple["array[int]", "array[int]"]
    names_no_runs: bool
    guarded: int
    bad: int
    shown: tuple[BadLine, ...]
    kinds: dict[str, ProblemKind]

    @property
    def duplicates_text(self) -> str:
        """The rows that are there twice, for people; empty if there are none."""
        if not self.duplicates:
            return ""
        rows = "1 row says" if self.duplicates == 1 else f"{self.duplicates:,} rows say"
        return f"{rows} the same as an earlier row, first on line {self.first_duplicate}"

    def block(self, number: int) -> Block:
        """Return a block by its number, where `ends` are known."""
        first = number * _BLOCK
        return Block(first, min(_BLOCK, self.rows - first), self.ends[2][number])

    def start(self, number: int) -> Place | None:
        """Return where a block starts; `None` for the start of the plan."""
        return Place(self.ends[0][number - 1], self.ends[1][number - 1]) if number else None

    def line(self, number: int) -> int:
        """Return the line of a row. `number`: of the row, counted from 0."""
        numbers, lines = self.places
        place = bisect_right(numbers, number) - 1
        return lines[place] + number - numbers[place]


def check_plan(
    lines: Iterable[PlanRow | BadLine],
    *,
    on_bad: Callable[[BadLine], None] | None = None,
    place: Callable[[], Place] | None = None,
    row_digest: Callable[[PlanRow], int] | None = None,
) -> CheckedPlan:
    """Read a plan to its end. `on_bad` is called with every bad line. Raises what reading raises.

    `place` returns where the plan was read up to, `row_digest` the digest of a row on 32 bits: with both, `rows_left`
    can pass over rows without reading them.
    """
    actions: Counter[str] = Counter()
    kinds: dict[str, ProblemKind] = {}
    shown: list[BadLine] = []
    runs, hashes = array("q"), array("q")  # 16 bytes a row, where sets would take 140
    numbers, places = array("Q"), array("Q")
    blocks = _Blocks(place, row_digest)
    rows = bad = last = guarded = 0
    names_no_runs = False
    for line in lines:
        if isinstance(line, BadLine):
            bad += 1
            if len(shown) < SHOWN:
                shown.append(line)
            for kind in {problem.kind: problem for problem in line.problems}.values():
                kinds.setdefault(kind.kind, ProblemKind(kind.text)).add(line.line)
            if on_bad is not None:
                on_bad(line)
            continue
        if (line.line != last + 1 or not rows) and not bad:
            numbers.append(rows)
            places.append(line.line)
            names_no_runs = line.ref.fielding_run_id == NO_RUN  # as in all rows
        rows, last = rows + 1, line.line
        actions[line.action.name] += 1
        guarded += line.if_match is not None
        runs.append(hash(str(line.ref)))  # of the text, as a ref keeps the hash that it once had to work out
        text = canonical_text(line.ref, line.action, line.if_match)
        hashes.append(hash(text))
        blocks.add(line, text)
    blocks.end()
    distinct_texts, repeated = distinct(hashes)
    distinct_runs, _ = distinct(runs)
    checked = CheckedPlan(
        rows=rows,
        actions=dict(actions),
        requests=rows + cache_misses(runs, distinct_runs, _REMEMBERED),
        distinct_runs=distinct_runs,
        duplicates=rows - distinct_texts,
        first_duplicate=None,
        digest=blocks.whole.hexdigest(),
        blocks=tuple(blocks.digests),
        ends=blocks.ends,
        places=(numbers, places),
        names_no_runs=names_no_runs,
        guarded=guarded,
        bad=bad,
        shown=tuple(shown),
        kinds=kinds,
    )
    if bad or not repeated:
        return checked
    return evolve(checked, first_duplicate=checked.line(first_again(hashes, repeated)))


class _Blocks:
    """Makes the digests of the blocks, and of the whole plan. The arguments are those of `check_plan`."""

    def __init__(self, place: Callable[[], Place] | None, row_digest: Callable[[PlanRow], int] | None) -> None:
        self._place = place
        self._row_digest = row_digest
        self._texts: list[str] = []  # of the rows of the block
        self._row_digests = array("I")
        self.whole = sha256()
        self.digests: list[bytes] = []
        self.ends = array("Q"), array("Q"), array("I")

    def add(self, row: PlanRow, text: str) -> None:
        """Add a row, and its canonical text."""
        if self._row_digest is not None:
            self._row_digests.append(self._row_digest(row))
        self._texts.append(text)
        if len(self._texts) == _BLOCK:
            self.end()

    def end(self) -> None:
        """End the block, if it has rows."""
        if not self._texts:
            return
        data = "".join(self._texts).encode()
        self._texts.clear()
        self.whole.update(data)
        self.digests.append(blake2b(data, digest_size=16).digest())
        if self._place is not None and self._row_digest is not None:
            lines, position, check_sums = self.ends
            place = self._place()
            lines.append(place.lines)
            position.append(place.bytes)
            check_sums.append(crc32(self._row_digests.tobytes()))
            del self._row_digests[:]


def verified_rows(lines: Iterable[PlanRow | BadLine], checked: CheckedPlan) -> Iterator[PlanRow]:
    """Yield the rows of a plan that is read again: only rows that were checked, whatever changed the file meanwhile.

    Raises `ConfigurationError` before the first row of a block that has changed.
    """
    return rows_left(lambda _: lines, checked, _pass_none)


def _pass_none(_block: Block) -> None:
    return None


def rows_left(
    read: Callable[[Place | None], Iterable[PlanRow | BadLine]],
    checked: CheckedPlan,
    passed: Callable[[Block], _Passed | None],
) -> Iterator[PlanRow | _Passed]:
    """Yield what `verified_rows` yields, and for a block what `passed` returns for it, unless that is `None`.

    `read` reads the plan from a place between two rows, or from its start. Nothing is read, and nothing verified,
    of the blocks that are passed over.
    """
    lines: Iterator[PlanRow | BadLine] | None = None
    for number, digest in enumerate(checked.blocks):
        instead = None if not checked.ends[0] else passed(checked.block(number))
        if instead is not None:
            lines = None
            yield instead
            continue
        if lines is None:
            lines = iter(read(checked.start(number)))
        yield from _verified(list(islice(lines, _BLOCK)), digest)
    more = None if lines is None else next(lines, None)
    if more is not None:
        raise _changed(more.line)


def _verified(block: list[PlanRow | BadLine], digest: bytes) -> Iterator[PlanRow]:
    rows: list[PlanRow] = []
    texts: list[str] = []
    for row in block:
        if isinstance(row, BadLine):
            raise _changed(row.line)
        rows.append(row)
        texts.append(canonical_text(row.ref, row.action, row.if_match))
    if not rows:
        raise ConfigurationError(
            "the plan has become shorter since it was checked; what is gone was not sent: give the same command again"
        )
    if blake2b("".join(texts).encode(), digest_size=16).digest() != digest:
        raise _changed(rows[0].line)
    return iter(rows)


def _changed(line: int) -> ConfigurationError:
    return ConfigurationError(
        f"the plan was changed while it was being applied; nothing from line {line} on was sent: give the same"
        " command again"
    )


def bad_plan_lines(
    name: str, checked: CheckedPlan, *, all_of_them: str, nothing: str = "nothing was sent"
) -> list[str]:
    """Return the problems of a plan as lines: the first bad lines in full, then a count for each kind of problem.

    `all_of_them` is the command that writes out every bad line. `nothing`: what did not happen.
    """
    total = f"{checked.bad:,} of {checked.bad + checked.rows:,} lines are" if checked.bad > 1 else "one line is"
    lines = [f"fielding: {printable(name)}: {total} not right; {nothing}"]
    lines += [f"  line {bad.line}: {bad.text}" for bad in checked.shown]
    left = checked.bad - len(checked.shown)
    if not left:
        return lines
    lines += [f"  and {left:,} more; in all:"]
    often = sorted(checked.kinds.items(), key=lambda pair: -pair[1].count)
    lines += [f"  {found.count:7,} x {kind} ({found.where})" for kind, found in often[:_KINDS]]
    lines += [f"  and {len(often) - _KINDS} more kinds of problems"] if len(often) > _KINDS else []
    return [*lines, f"  every one of them, as JSON: {printable(all_of_them)}"]


def plan_object(name: str, checked: CheckedPlan) -> dict[str, object]:
    """Return the counts of a plan that has bad lines, as a JSON object."""
    return {"kind": "plan", "plan": name, "rows": checked.rows, "bad_lines": checked.bad}
