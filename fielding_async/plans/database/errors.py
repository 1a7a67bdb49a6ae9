"""What an error of a driver or of the server means: try again, or do something about it first.

`StoreLostError`          the connection is gone, the server restarts, is full or read-only, no answer came in time
`ConfigurationError`      wrong password, no such database, no permission, tables missing: the message has the remedy
`JournalError`            anything else

An exception of a driver is never the cause or context of these: its frames hold the password, and its class would have
callers depend on the driver.
"""

import re
import ssl
from collections.abc import Callable

from fielding_async.core.errors import ConfigurationError, FieldingError, JournalError

__all__ = ["CREATE_TABLES", "StoreLostError", "meaning_of"]

CREATE_TABLES = "run `fielding plans create-tables`, or await plans.create_tables()"

# SQLSTATE classes and codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
_LOST_CLASSES = ("08", "40", "53", "57", "58")
_LOST_CODES = {
    "25006": "it is read-only, as a standby is",
    "55P03": "a lock was not granted in time",
}
_LOST_REASONS = {
    "53300": "it accepts no more connections",
    "53100": "its disk is full",
    "57014": "a statement took too long, or was cancelled",
}
_MISSING = {"42P01", "42703"}
_NO_PERMISSION = "42501"
_PARAMETER_CODES = {"42704", "22023", "42601"}
_ACCESS = {"28P01", "28000", "3D000", "0P000"}

# libpq gives no SQLSTATE for a connection that was refused, and servers may speak another language than English.
# A text that is not found here is shown as it is, and tried again.
_ACCESS_TEXTS = re.compile(
    r"password authentication failed|no password supplied|password retrieved|no pg_hba\.conf entry|pg_hba\.conf rejects"
    r"|(?:database|role) \".*\" does not exist|no such (?:database|user)|does not support SSL|SSL was required"
    r"|certificate|rejected SSL|channel binding|authentication method|SASL authentication failed|auth failed",
    re.IGNORECASE,
)
_PARAMETER_TEXTS = re.compile(
    r"un(?:supported startup|recognized configuration) parameter|invalid value for parameter", re.IGNORECASE
)
_MOST = 300  # characters of a server's message that are shown


class StoreLostError(OSError):
    """The database cannot be reached or used now; the same call may succeed later.

    A statement or commit whose reply was lost may have been applied.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def meaning_of(
    error: BaseException, *, where: str, clean: Callable[[str], str], is_connecting: bool = False
) -> StoreLostError | FieldingError:
    """Return the error to raise in place of one of a driver, the system or the server.

    `where`: names the database in messages. `clean`: takes secrets out of a text.
    """
    code = getattr(error, "sqlstate", None)
    said = getattr(getattr(error, "diag", None), "message_primary", None) or str(error)
    text = clean(" ".join(said.split()))[:_MOST] or type(error).__name__
    if is_connecting and _is_about_parameters(error, code, text):
        return ConfigurationError(
            f"{where}: a parameter of the URL cannot be used: {text}: correct it, or leave it out"
        )
    if isinstance(code, str):
        return _meaning_of_code(code, text, where)
    if isinstance(error, TimeoutError):
        return StoreLostError(f"{where}: no answer in time")
    if isinstance(error, ssl.SSLCertVerificationError) or (is_connecting and _ACCESS_TEXTS.search(text)):
        return _no_access(text, where)
    return StoreLostError(f"{where}: {text}")


def _is_about_parameters(error: BaseException, code: str | None, text: str) -> bool:
    if code in _PARAMETER_CODES or _PARAMETER_TEXTS.search(text):
        return True
    return code is None and (
        isinstance(error, ValueError | TypeError) or type(error).__name__ == "ProgrammingError"  # of the driver
    )


def _meaning_of_code(code: str, text: str, where: str) -> StoreLostError | FieldingError:
    if code in _MISSING:
        return ConfigurationError(f"{where}: the tables of plans are missing or of another version: {CREATE_TABLES}")
    if code == _NO_PERMISSION:
        return ConfigurationError(f"{where}: {text}: grant the permission to the user of the URL, or use another user")
    if code in _ACCESS or (code == "08P01" and _ACCESS_TEXTS.search(text)):  # PgBouncer has one code for all
        return _no_access(text, where)
    if code == "3F000":
        return ConfigurationError(f"{where}: {text}: the search_path of the user must name a schema that exists")
    if code in _LOST_CODES or code.startswith(_LOST_CLASSES):
        reason = _LOST_CODES.get(code) or _LOST_REASONS.get(code)
        return StoreLostError(f"{where}: {reason} ({text})" if reason else f"{where}: {text}")
    return JournalError(f"{where}: {text} [SQLSTATE {code}]")


def _no_access(text: str, where: str) -> ConfigurationError:
    return ConfigurationError(
        f"{where}: the server refused the connection: {text}: check user, password, database and sslmode of"
        " FIELDING_PLANS_URL or url="
    )
