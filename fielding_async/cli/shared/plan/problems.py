"""What is wrong with a line of a plan, in words. Pure."""

from attrs import frozen

__all__ = ["NOTHING", "SHOWN", "BadLine", "Problem", "missing", "wrong"]

NOTHING = (None, "")
"""The values that are none."""

SHOWN = 40
"""How many characters of a value a message repeats."""

_OPTIONS = {"account_id": " (or give --account)", "project_id": " (or give --project)"}


@frozen
class Problem:
    """One thing that is wrong with a line. `kind` is the same text for all lines with the same problem."""

    kind: str
    text: str


@frozen
class BadLine:
    """A line of a plan that is not a valid row, with all its problems."""

    line: int
    problems: tuple[Problem, ...]

    @property
    def text(self) -> str:
        """All problems, on one line."""
        return "; ".join(problem.text for problem in self.problems)


def wrong(column: str, value: object, rule: str, more: str = "") -> Problem:
    """Return that a value is wrong. `rule` is for all such values, `more` about this one."""
    text = value if isinstance(value, str) else str(value)
    shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
    return Problem(f"{column} {rule}", f"{column} {shown!r} {rule}{more}")


def missing(column: str) -> Problem:
    """Return that a column has no value."""
    text = f"{column} is missing{_OPTIONS.get(column, '')}"
    return Problem(text, text)
