"""What is wrong with a value of a plan, in words. Pure."""

from attrs import define, field, frozen

__all__ = ["NOTHING", "SHOWN", "Problem", "ProblemKind", "missing", "wrong"]

NOTHING = (None, "")
"""The values that are none."""

SHOWN = 40
"""How many characters of a value a message repeats."""

_RANGES = 3  # of lines with the same problem that are shown
_OPTIONS = {"account_id": " (or give --account)", "project_id": " (or give --project)"}


@frozen
class Problem:
    """One thing that is wrong with a line. `kind` is the same text for all lines with the same problem."""

    kind: str
    text: str


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


def wrong(column: str, value: object, rule: str, more: str = "") -> Problem:
    """Return that a value is wrong. `rule` is for all such values, `more` about this one."""
    text = value if isinstance(value, str) else str(value)
    shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
    return Problem(f"{column} {rule}", f"{column} {shown!r} {rule}{more}")


def missing(column: str) -> Problem:
    """Return that a column has no value."""
    text = f"{column} is missing{_OPTIONS.get(column, '')}"
    return Problem(text, text)
