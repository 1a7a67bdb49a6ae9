"""Checks a whole plan before anything is sent, and checks that its rows are the same when it is read again. Pure."""

from array import array
from bisect import bisect_right
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b, sha256

from attrs import define, evolve, field, frozen

from fielding_async.cli.shared.output import printable
from fielding_async.core.errors import ConfigurationError

from .row import BadLine, PlanRow, canonical_text

__all__ = ["SHOWN", "CheckedPlan", "ProblemKind", "bad_plan_lines", "check_plan", "plan_object", "verified_rows"]

SHOWN = 20
"""How many bad lines are shown in full. The others are counted by kind of problem."""

_BLOCK = 256  # rows that have a digest in common: all are verified before the first of them is used
_REMEMBERED = 65_536  # runs whose ETags a session keeps by default
_PARTS = 64
_KINDS = 10
_RANGES = 3


@define
class ProblemKind:
    """One kind of problem: an example, how many lines have it, and the first ranges of these lines."""

    example: str
    count: int = 0
    ranges: list[tuple[int, int]] = field(factory=list)  # pyright: ignore[reportUnknownVariableType]
    more: bool = False

    def add(self, line: int) -> None:
        """Count a line."""
        self.count += 1
        if self.more:
            return
        if self.ranges and self.ranges[-1][1] == line - 1:
            self.ranges[-1] = (self.ranges[-1][0], line)
        elif len(self.ranges) < _RANGES:
            self.ranges.append((line, line))
        else:
            self.more = True

    @property
    def where(self) -> str:
        """The lines in short, such as `lines 2-400, 410, ...`."""
        places = [f"{first}" if first == last else f"{first}-{last}" for first, last in self.ranges]
        noun = "line" if self.count == 1 else "lines"
        return f"{noun} {', '.join([*places, *(['...'] if self.more else [])])}"


@frozen(kw_only=True)
class CheckedPlan:
    """What a check found in a plan.

    `rows`: how many rows there are. `actions`: how many rows each action has. `requests`: how many requests the plan
    takes without conflicts and retries, with a GET for each run that the session does not remember.
    `distinct_runs`: how many runs the rows are of. `duplicates`: how many rows say what an earlier row says, the same
    action (and dates) on the same run. `first_duplicate`: the line of the first of them, if the plan has no bad lines.
    `digest`: of the canonical texts of all rows, so that it does not depend on how the file is written. `blocks`: a
    digest for each block of rows. `guarded`: how many rows have an `if_match`. `places`: number and line of each row
    that does not stand on the line after the row before it. `bad`: how many lines are not valid rows. `shown`: the
    first bad lines. `kinds`: the problems of all bad lines.
    """

    rows: int
    actions: dict[str, int]
    requests: int
    distinct_runs: int
    duplicates: int
    first_duplicate: int | None
    digest: str
    blocks: tuple[bytes, ...]
    places: tuple["array[int]", "array[int]"]
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

    def line(self, number: int) -> int:
        """Return the line of a row. `number`: of the row, counted from 0."""
        numbers, lines = self.places
        place = bisect_right(numbers, number) - 1
        return lines[place] + number - numbers[place]


def check_plan(lines: Iterable[PlanRow | BadLine], *, on_bad: Callable[[BadLine], None] | None = None) -> CheckedPlan:
    """Read a plan to its end. `on_bad` is called with every bad line. Raises what reading raises."""
    actions: Counter[str] = Counter()
    kinds: dict[str, ProblemKind] = {}
    shown: list[BadLine] = []
    blocks: list[bytes] = []
    known: OrderedDict[int, None] = OrderedDict()
    runs, texts = array("q"), array("q")  # hashes: 16 bytes a row, where sets would take 140
    whole, block = sha256(), blake2b(digest_size=16)
    numbers, places = array("Q"), array("Q")
    rows = requests = bad = last = guarded = 0
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
        rows, last = rows + 1, line.line
        actions[line.action.name] += 1
        guarded += line.if_match is not None
        # counted with as many remembered runs as a session has, so that the figure is right for long plans too
        run = hash(line.ref)
        requests += 1 if run in known else 2
        known[run] = None
        known.move_to_end(run)
        if len(known) > _REMEMBERED:
            known.popitem(last=False)
        runs.append(run)
        text = canonical_text(line.ref, line.action, line.if_match).encode()
        texts.append(hash(text))
        whole.update(text)
        block.update(text)
        if rows % _BLOCK == 0:
            blocks.append(block.digest())
            block = blake2b(digest_size=16)
    if rows % _BLOCK:
        blocks.append(block.digest())
    distinct_texts, repeated = _distinct(texts)
    checked = CheckedPlan(
        rows=rows,
        actions=dict(actions),
        requests=requests,
        distinct_runs=_distinct(runs)[0],
        duplicates=rows - distinct_texts,
        first_duplicate=None,
        digest=whole.hexdigest(),
        blocks=tuple(blocks),
        places=(numbers, places),
        guarded=guarded,
        bad=bad,
        shown=tuple(shown),
        kinds=kinds,
    )
    if bad or not repeated:
        return checked
    return evolve(checked, first_duplicate=checked.line(_first_again(texts, repeated)))


def _distinct(hashes: "array[int]") -> tuple[int, set[int]]:
    """Return how many hashes there are, and which are there more than once. A part at a time: a set of all is large."""
    parts = [array("q") for _ in range(_PARTS)]
    for value in hashes:
        parts[value % _PARTS].append(value)
    distinct, repeated = 0, set[int]()
    for part in parts:
        known = set(part)
        distinct += len(known)
        if len(known) < len(part):
            repeated.update(value for value, count in Counter(part).items() if count > 1)
    return distinct, repeated


def _first_again(hashes: "array[int]", repeated: set[int]) -> int:
    """Return the place of the first hash that was there before."""
    known: set[int] = set()
    for place, value in enumerate(hashes):
        if value in known:
            return place
        if value in repeated:
            known.add(value)
    raise AssertionError("no hash is there twice")


def verified_rows(lines: Iterable[PlanRow | BadLine], checked: CheckedPlan) -> Iterator[PlanRow]:
    """Yield the rows of a plan that is read again: only rows that were checked, whatever changed the file meanwhile.

    Raises `ConfigurationError` before the first row of a block that has changed.
    """
    block: list[PlanRow] = []
    blocks = iter(checked.blocks)
    for line in lines:
        if isinstance(line, BadLine):
            raise _changed(line.line)
        block.append(line)
        if len(block) == _BLOCK:
            yield from _verified(block, next(blocks, None))
            block = []
    if block:
        yield from _verified(block, next(blocks, None))
    if next(blocks, None) is not None:
        raise ConfigurationError("the plan has become shorter since it was checked; what is gone was not sent")


def _verified(block: list[PlanRow], digest: bytes | None) -> list[PlanRow]:
    found = blake2b(digest_size=16)
    for row in block:
        found.update(canonical_text(row.ref, row.action, row.if_match).encode())
    if found.digest() != digest:
        raise _changed(block[0].line)
    return block


def _changed(line: int) -> ConfigurationError:
    return ConfigurationError(f"the plan was changed while it was being applied; nothing from line {line} on was sent")


def bad_plan_lines(name: str, checked: CheckedPlan, *, all_of_them: str) -> list[str]:
    """Return the problems of a plan as lines: the first bad lines in full, then a count for each kind of problem.

    `all_of_them` is the command that writes out every bad line.
    """
    total = f"{checked.bad:,} of {checked.bad + checked.rows:,} lines are" if checked.bad > 1 else "one line is"
    lines = [f"fielding: {printable(name)}: {total} not right; nothing was sent"]
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
