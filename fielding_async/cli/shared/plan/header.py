"""The names of a plan's columns, and of the keys of a plan in JSON. Pure."""

from difflib import get_close_matches
from unicodedata import normalize

from fielding_async.core.errors import ConfigurationError

from .file_kinds import LAID_OUT, shown
from .row import ACTIONS, COLUMNS, ERROR, IF_MATCH, REF, Defaults

__all__ = ["KNOWN", "column_name", "read_header", "unknown_names"]

KNOWN = frozenset({*COLUMNS, IF_MATCH, REF, ERROR})
"""The names that a column of a plan may have."""

_OPTIONS = {"account_id": "--account", "project_id": "--project"}
_NO_RUN = " (each row names its run by its id: list_runs of a target group tells it)"
_QUOTES = "\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u00ab\u00bb"
_SHOWN = 40  # characters of a name that a message repeats
_MOST = 10  # unknown names that a message lists
_ALIKE = 0.6  # how alike a name must be that a message suggests
_NEAR = 0.85  # how alike a name must be that is taken for a slip, and never left out


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
        if "fielding_run_id" not in names:
            wrong.append(f"column fielding_run_id is missing{_NO_RUN}")
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

    With extra columns left out, a name is wrong only if it is almost that of a column that is not `present`.
    """
    unknown = [name for name in names if name not in KNOWN]
    if not unknown:
        return []
    if defaults.ignores_extra:
        slips = [(name, _near(name, _NEAR, present)) for name in unknown]
        return [f"{what} {name[:_SHOWN]!r} is not left out: did you mean {near}?" for name, near in slips if near]
    told = [(name, _near(name, _ALIKE, set())) for name in unknown[:_MOST]]
    if len(unknown) == 1:
        ((name, near),) = told
        are = f"{what} {name[:_SHOWN]!r} is unknown" + (f" (did you mean {near}?)" if near else "")
    else:
        texts = [f"{name[:_SHOWN]!r}" + (f" (did you mean {near}?)" if near else "") for name, near in told]
        texts += [f"{len(unknown) - _MOST} more"] if len(unknown) > _MOST else []
        are = f"{what}s {', '.join(texts)} are unknown"
    if hint := _spoilt(unknown):
        return [f"{are}: {hint}"]
    if any(name.startswith("Unnamed: ") for name in unknown):
        return [f"{are}: pandas names row names so: write with to_csv(index=False), or give --ignore-columns"]
    return [f"{are}: remove {'it' if len(unknown) == 1 else 'them'}, or give --ignore-columns"]


def _near(name: str, cutoff: float, present: set[str]) -> str | None:
    plain = name[:_SHOWN].lower().replace(" ", "_").replace("-", "_")
    return next(
        iter(get_close_matches(plain, [known for known in (*COLUMNS, IF_MATCH) if known not in present], 1, cutoff)),
        None,
    )


def _spoilt(names: list[str]) -> str:
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
    if spoilt := _spoilt(written):
        return f"{first}; {spoilt}"
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
