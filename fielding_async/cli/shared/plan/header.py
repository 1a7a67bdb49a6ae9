"""The names of a plan's columns, and of the keys of a plan in JSON. Pure."""

import re
from difflib import get_close_matches
from unicodedata import normalize

from fielding_async.core.errors import ConfigurationError

from .cells.actions import ACTIONS
from .cells.ids import REF
from .cells.problems import SHOWN
from .file_kinds import LAID_OUT, shown
from .row import COLUMNS, ERROR, IF_MATCH, Defaults

__all__ = ["KNOWN", "column_name", "is_guard", "read_header", "unknown_names"]

KNOWN = frozenset({*COLUMNS, IF_MATCH, REF, ERROR})
"""The names that a column of a plan may have."""

_OPTIONS = {"account_id": "--account", "project_id": "--project"}
_QUOTES = "\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u00ab\u00bb"
_MOST = 10  # unknown names that a message lists
_ALIKE = 0.6  # how alike a name must be that a message suggests
_NEAR = 0.85  # how alike a name must be that is taken for a slip, and never left out
_RUN = re.compile(r"(?:.*[^a-z])?run(?:[^a-z].*)?|.*(?:runid|fieldingrun).*", re.DOTALL)
_GUARD = re.compile(r"(?:.*[^a-z])?(?:run|fielding|current)?e[ _-]?tag", re.DOTALL)


def column_name(text: str) -> str:
    """Return the name of a column or key: a plan's own name, whatever its case and marks; else the text itself."""
    if text in KNOWN or not text.isascii():
        return text
    name = text.lower().replace(" ", "_").replace("-", "_")
    return name if name in KNOWN else text


def read_header(cells: list[str], line: int, text: str, defaults: Defaults) -> list[str]:
    """Return the names of the columns; a column that is left out has the name of the column of errors.

    A column without a name must hold nothing, unless extra columns are left out; its name is empty. `text`: the line.
    Raises `ConfigurationError` if a column is missing, unknown or repeated.
    """
    written = [cell.strip() for cell in cells]
    names = [column_name(name) for name in written]
    if not {*names} & {*COLUMNS, REF}:
        raise ConfigurationError(f"line {line} {_no_names(written, text)}; the line is {shown(text)}")
    wrong = unknown_names([name for name in names if name], set(names), defaults)
    wrong += _repeated(written, names)
    if REF not in names:
        if "target_group_id" not in names:
            wrong.append("column target_group_id is missing")
        for name, option in _OPTIONS.items():
            if name not in names and getattr(defaults, name) is None:
                wrong.append(f"column {name} is missing (or give {option})")
    if "action" not in names:
        wrong.append("column action is missing")
    if wrong:
        raise ConfigurationError(f"line {line}: {'; '.join(wrong)}; the line is {shown(text)}")
    return [ERROR if defaults.ignores_extra and name not in KNOWN else name for name in names]


def unknown_names(names: list[str], present: set[str], defaults: Defaults, what: str = "column") -> list[str]:
    """Return what is wrong with the names among these that are not a plan's.

    With extra columns left out, a name is wrong only if it is almost that of a column that is not `present`, or if it
    says that the column holds runs or ETags where the plan has none: without them a row would ask for something else.
    """
    unknown = [name for name in names if name not in KNOWN]
    if not unknown:
        return []
    if defaults.ignores_extra:
        slips = [(name, _near(name, _NEAR, present) or _meant(name, present)) for name in unknown]
        return [f"{what} {name[:SHOWN]!r} is not left out: {_slip_text(near)}" for name, near in slips if near]
    found = [(name, _meant(name, present) or _near(name, _ALIKE, set())) for name in unknown[:_MOST]]
    if len(unknown) == 1:
        ((name, near),) = found
        if near and near not in present:
            return [f"{what} {name[:SHOWN]!r} is unknown: {_slip_text(near)}"]
        are = f"{what} {name[:SHOWN]!r} is unknown" + (f" (did you mean {near}?)" if near else "")
    else:
        texts = [f"{name[:SHOWN]!r}" + (f" (did you mean {near}?)" if near else "") for name, near in found]
        texts += [f"{len(unknown) - _MOST} more"] if len(unknown) > _MOST else []
        are = f"{what}s {', '.join(texts)} are unknown"
    if hint := _damaged(unknown):
        return [f"{are}: {hint}"]
    if any(name.startswith("Unnamed: ") for name in unknown):
        return [f"{are}: pandas names row names so: write with to_csv(index=False), or give --ignore-columns"]
    return [f"{are}: remove {'it' if len(unknown) == 1 else 'them'}, or give --ignore-columns"]


def is_guard(name: str) -> bool:
    """Whether the name of a column or key says that it holds the ETag of a run."""
    return _GUARD.fullmatch(name[:SHOWN].lower()) is not None


def _meant(name: str, present: set[str]) -> str | None:
    """Return the column that a name may stand for, where the plan does not have that."""
    if IF_MATCH not in present and is_guard(name):
        return IF_MATCH
    if not present & {COLUMNS[3], REF} and _RUN.fullmatch(name[:SHOWN].lower()):
        return COLUMNS[3]
    return None


def _slip_text(near: str) -> str:
    return f"did you mean {near}? Rename it, or remove it"


def _near(name: str, cutoff: float, present: set[str]) -> str | None:
    plain = name[:SHOWN].lower().replace(" ", "_").replace("-", "_")
    return next(
        iter(get_close_matches(plain, [known for known in (*COLUMNS, IF_MATCH) if known not in present], 1, cutoff)),
        None,
    )


def _damaged(names: list[str]) -> str:
    """Return what was done to names that would be a plan's own without it; empty if nothing was."""
    for name in names:
        if column_name(name.strip(_QUOTES)) in KNOWN and name.strip(_QUOTES) != name:
            return "it has curly quotes, as word processors write them: write straight ones, or none"
        if column_name(normalize("NFKC", name)) in KNOWN and not name.isascii():
            return "it has fullwidth characters, as an East Asian input method writes them: write them in ASCII"
    return ""


def _no_names(written: list[str], text: str) -> str:
    """Return what is wrong with a first line that names no column of a plan."""
    if len(KNOWN & {*text.split()}) > 1:
        return LAID_OUT
    first = "names no column of a plan"
    if damaged := _damaged(written):
        return f"{first}; {damaged}"
    such_as = f"such as: {','.join(COLUMNS)}"
    if {name.lower() for name in written} & {*ACTIONS}:
        return f"{first} but is a row; the line before it must name the columns (sqlite3 -header), {such_as}"
    return f"{first}; it must be {such_as}"


def _repeated(written: list[str], names: list[str]) -> list[str]:
    wrong: list[str] = []
    for name in (*COLUMNS, IF_MATCH, REF):
        if names.count(name) < 2:
            continue
        texts = {text: None for text, found in zip(written, names, strict=True) if found == name}
        if len(texts) == 1:
            wrong.append(f"column {name} is there more than once")
        else:
            wrong.append(f"columns {' and '.join(map(repr, texts))} are all {name}: remove all but one")
    return wrong
