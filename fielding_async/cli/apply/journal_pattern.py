"""The pattern of `--journal`: the path of a journal, with the date on which it is started in its name. Pure."""

import re
from datetime import date
from pathlib import Path

from attrs import frozen

from fielding_async.core.errors import ConfigurationError

__all__ = ["JournalPattern", "parse_pattern"]

_RULE = "%Y, %m and %d stand for the date (UTC) on which the journal is started, %% for a percent sign"
_DIGITS = {"Y": r"\d{4}", "m": r"(?:0[1-9]|1[0-2])", "d": r"(?:0[1-9]|[12]\d|3[01])"}
_PART = re.compile(r"%(.?)|[^%]+", re.DOTALL)


@frozen
class JournalPattern:
    """A checked pattern. `parts`: of the file's name, a text each, and whether it is a letter of the date."""

    folder: Path
    parts: tuple[tuple[str, bool], ...]

    @property
    def is_dated(self) -> bool:
        """Whether the name depends on the date."""
        return any(is_letter for _, is_letter in self.parts)

    def path(self, day: date) -> Path:
        """Return the path of a journal that is started on this day (UTC)."""
        values = {"Y": f"{day.year:04}", "m": f"{day.month:02}", "d": f"{day.day:02}"}
        return self.folder / "".join(values[text] if is_letter else text for text, is_letter in self.parts)

    def expression(self) -> re.Pattern[str]:
        """Return what the name of a journal of any day matches in full, without its folder."""
        known: set[str] = set()
        expression = ""
        for text, is_letter in self.parts:
            if not is_letter:
                expression += re.escape(text)
            elif text in known:
                expression += f"(?P={text})"
            else:
                expression += f"(?P<{text}>{_DIGITS[text]})"
                known.add(text)
        return re.compile(expression, re.ASCII)


def parse_pattern(path: Path) -> JournalPattern:
    """Read what was given with `--journal`. Raises `ConfigurationError` for another `%` than those of the rule."""
    folder = str(path.parent)
    if "%" in folder.replace("%%", ""):
        raise ConfigurationError(
            f"--journal {path}: in the name of a folder %% is a percent sign, and there is no date; put it in the"
            " name of the file"
        )
    parts: list[tuple[str, bool]] = []
    for match in _PART.finditer(path.name):
        letter = match[1]
        if letter is None or letter == "%":
            parts.append((letter or match[0], False))
        elif letter in _DIGITS:
            parts.append((letter, True))
        else:
            raise ConfigurationError(f"--journal {path}: {match[0]!r} is not known: use only these: {_RULE}")
    return JournalPattern(Path(folder.replace("%%", "%")), tuple(parts))
