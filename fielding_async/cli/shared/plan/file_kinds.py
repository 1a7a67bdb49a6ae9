"""Knows files of other kinds by their first bytes or their first line, and says how to make a plan of them. Pure."""

from fielding_async.core.errors import ConfigurationError

__all__ = ["LAID_OUT", "check_first_line", "check_head", "shown"]

LAID_OUT = "is laid out as a table for reading: export CSV instead (sqlite3 -csv -header, psql --csv)"
"""What a line of a table for reading is, and the remedy."""

_SHOWN = 80  # characters of a line that a message repeats
_FRAME = "+-=\u250c\u2500\u2550\u2554\u256d"  # first characters of a table that is drawn
_EXCEL = "in Excel, save it as 'CSV UTF-8 (comma delimited)'"
_LIBREOFFICE = "; in LibreOffice, as 'Text CSV'"
_UNPACK = "is compressed: unpack it first"
_HEADS = (
    (b"\xff\xfe", f"is UTF-16 text: {_EXCEL}; in Windows PowerShell, export it with -Encoding UTF8"),
    (b"\xfe\xff", f"is UTF-16 text: {_EXCEL}; in Windows PowerShell, export it with -Encoding UTF8"),
    (b"PK\x03\x04", f"is a workbook or an archive, not CSV: {_EXCEL}{_LIBREOFFICE}"),
    (b"\xd0\xcf\x11\xe0", f"is a workbook, not CSV: {_EXCEL}{_LIBREOFFICE}"),
    (b"\x1f\x8b", f"{_UNPACK} (gunzip)"),
    (b"BZh", f"{_UNPACK} (bunzip2)"),
    (b"\xfd7zXZ\0", f"{_UNPACK} (unxz)"),
    (b"\x28\xb5\x2f\xfd", f"{_UNPACK} (unzstd)"),
    (b"PAR1", "is a Parquet file, not CSV: duckdb -c \"COPY (FROM 'FILE.parquet') TO 'plan.csv'\""),
    (b"ARROW1", "is an Arrow (Feather) file, not CSV: pandas.read_feather(FILE).to_csv('plan.csv', index=False)"),
    (b"SQLite format 3\0", 'is an SQLite database, not CSV: sqlite3 -csv -header FILE "SELECT ..." > plan.csv'),
    (b'{"fielding_journal"', "is the journal of a plan, not a plan: give the plan, and the journal with --journal"),
    (b"{\\rtf", "is a formatted document (RTF), not text: save it as plain text"),
    (b"%PDF-", "is a PDF document, not CSV: export the table as CSV"),
)
_DUCKDB = "is a DuckDB database, not CSV: run duckdb FILE -c \"COPY (SELECT ...) TO 'plan.csv'\""


def check_head(head: bytes) -> None:
    """Raise `ConfigurationError` if a file that starts with these bytes is of a kind that is no plan."""
    for magic, problem in _HEADS:
        if head.startswith(magic):
            raise ConfigurationError(problem)
    if head[8:12] == b"DUCK":
        raise ConfigurationError(_DUCKDB)
    if head[:1] == b"\0" or head[1:2] == b"\0":
        raise ConfigurationError("is UTF-16 or binary, not UTF-8 text: in Excel, save it as 'CSV UTF-8'")


def shown(line: str) -> str:
    """Return a line as a message repeats it."""
    text = line.strip()
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")


def check_first_line(number: int, line: str) -> None:
    """Raise `ConfigurationError` if a file whose first line (but for blank ones) this is is no plan."""
    text = line.strip()
    problem = None
    if text.startswith("["):
        problem = "is a JSON array: a plan in JSON has one object on each line: run jq -c '.[]' FILE > plan.jsonl"
        problem += ' (pandas: to_json(orient="records", lines=True); polars: write_ndjson)'
    elif text == "{":
        problem = "starts JSON that is written over several lines: a plan in JSON has one object on each line:"
        problem += " run jq -c . FILE > plan.jsonl"
    elif text.startswith("#TYPE "):
        problem = "is written by Windows PowerShell: give Export-Csv -NoTypeInformation, or delete the line"
    elif text.startswith("#"):
        problem = "is a comment: a plan has none; delete such lines (grep -v '^#' FILE > plan.csv)"
    elif text[0] in _FRAME:
        problem = LAID_OUT
    elif text.startswith("<"):
        problem = f"is HTML or XML, not CSV: {_EXCEL}"
    if problem is not None:
        raise ConfigurationError(f"line {number} ({shown(line)}) {problem}")
