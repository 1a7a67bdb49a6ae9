"""Says, of a cell that is no value of a plan, which program damaged it and what to do. Pure."""

import re
from unicodedata import normalize

__all__ = ["MISSING", "cell_hint", "missing_value"]

MISSING = {
    "NA": 'R writes a missing value: leave the cell empty (write.csv(..., na = ""))',
    "NaN": 'pandas writes a missing value: leave the cell empty (to_csv(na_rep=""))',
    "nan": 'pandas writes a missing value: leave the cell empty (to_csv(na_rep=""))',
    "NaT": 'pandas writes a missing date: leave the cell empty (to_csv(na_rep=""))',
    "<NA>": 'pandas writes a missing value: leave the cell empty (to_csv(na_rep=""))',
    "None": "Python writes a missing value: leave the cell empty",
    "null": "SQL and JSON write a missing value: leave the cell empty",
    "NULL": "SQL writes a missing value: leave the cell empty",
    "\\N": "PostgreSQL and MySQL write a missing value: leave the cell empty (COPY ... WITH (FORMAT csv))",
    "#N/A": "Excel writes a missing value: leave the cell empty",
}
"""Texts that stand for a missing value, and who writes them so."""

_QUOTES = "\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u00ab\u00bb\u2039\u203a"
_SCIENTIFIC = re.compile(r"\d+(?:[.,]\d+)?[eE]\+\d+|\d+[.,]\d+[eE]\d+", re.ASCII)
_POINT = re.compile(r"\d+\.\d+", re.ASCII)
_FULLWIDTH = re.compile(r"[\uff00-\uffef\u3000]")


def missing_value(value: object) -> str | None:
    """Return who writes a missing value as this one is written, and what to do; `None` if it is a value."""
    if isinstance(value, float) and value != value:
        value = "NaN"
    return f"is how {MISSING[value]}" if isinstance(value, str) and value in MISSING else None


def cell_hint(value: object, *, is_text: bool) -> tuple[str, str] | None:
    """Return how an id or a name was damaged, and more about this value; `None` if that is unknown.

    `is_text`: the value can be no number.
    """
    if not isinstance(value, str):
        is_number = is_text and isinstance(value, int | float) and not isinstance(value, bool)
        return ("it is a number: write a text, between quotes", "") if is_number else None
    if any(mark in value for mark in _QUOTES):
        bare = value.strip(_QUOTES + "\"'")
        return "it has curly quotes, as word processors write them: remove them", _meant(value, bare)
    if _FULLWIDTH.search(value):
        rule = "it has fullwidth characters, as an East Asian input method writes them: write them in ASCII"
        return rule, _meant(value, normalize("NFKC", value).strip())
    hidden = next((character for character in value if not character.isprintable()), None)
    if hidden is not None:
        return f"it holds the invisible character U+{ord(hidden):04X}: delete it", ""
    if _SCIENTIFIC.fullmatch(value):
        rule = "it is a number in scientific notation, as Excel and R write long numbers, with digits lost:"
        return f"{rule} export it again with this column as text", ""
    if is_text and _POINT.fullmatch(value):
        rule = "it is a number with a point, as pandas writes whole numbers of a column with empty cells:"
        return f"{rule} read the ids as text (read_csv(dtype=str))", ""
    return None


def _meant(value: str, bare: str) -> str:
    return f"; did you mean {bare!r}?" if bare.isascii() and bare != value and bare else ""
