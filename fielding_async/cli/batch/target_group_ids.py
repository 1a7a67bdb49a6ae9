"""Reads target groups from arguments, files and standard input, and keeps where each one was for messages."""

import codecs
from collections.abc import Iterable, Sequence
from pathlib import Path

from attrs import frozen

from fielding_async.cli.shared.arguments.places import GROUP
from fielding_async.core.errors import ConfigurationError
from fielding_async.core.ids import check_account_id, check_ulid

__all__ = ["Groups", "LocatedId", "check_groups", "parse_ids", "read_ids"]

_BY_MARK = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"), (codecs.BOM_UTF8, "utf-8-sig"))


@frozen
class LocatedId:
    """An id, or a ref of all ids, and where it was given, such as `ids.txt, line 3`."""

    value: str
    where: str


def parse_ids(content: bytes, source: str) -> list[LocatedId]:
    """Return the ids in a file's content: one on each line. Blank lines, and comments from a `#` on, are ignored.

    UTF-8, or UTF-16 with a byte order mark; any kind of line end. Raises `ConfigurationError` for other content.
    """
    encoding = next((name for mark, name in _BY_MARK if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        raise ConfigurationError(f"{source}: is not a text file in UTF-8: save it as one") from None
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [LocatedId(line, f"{source}, line {number}") for number, line in enumerate(lines, 1) if line]


def read_ids(path: Path) -> list[LocatedId]:
    """Return the ids in a file. Raises `ConfigurationError` if it cannot be read."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"{path}: cannot be read: {error.strerror or error}: name a file that can be read"
        ) from None
    return parse_ids(content, str(path))


@frozen
class Groups:
    """Target groups of one project."""

    account: int
    project: str
    ids: tuple[str, ...]


def check_groups(entries: Sequence[LocatedId], account: int | None, project: str | None) -> Groups:
    """Return the target groups, in order: ids with account and project, or refs that name both, of one project.

    Raises `ConfigurationError` if there are none, or if one is malformed, repeated or of another project.
    """
    if not entries:
        raise ConfigurationError("no target group ids: name some, or a file of them with --from")
    refs = [entry for entry in entries if "/" in entry.value]
    options = {"--account": account, "--project": project}
    if refs and len(refs) < len(entries):
        plain = next(entry for entry in entries if "/" not in entry.value)
        problem = f"{plain.value!r} is an id alone, and {refs[0].value} ({refs[0].where}) names account and project"
        raise ConfigurationError(f"{plain.where}: {problem}: name all in the same way")
    if refs:
        given = [name for name, value in options.items() if value is not None]
        if given:
            what = f"{refs[0].value} ({refs[0].where}) names account and project already"
            raise ConfigurationError(f"{what}: leave out {' and '.join(given)}")
        return _of_refs(refs)
    missing = [name for name, value in options.items() if value is None]
    if missing:
        raise ConfigurationError(f"missing {' and '.join(missing)}: give them, or name the target groups as {GROUP}")
    return Groups(check_account_id(account), check_ulid("project_id", project), _check_ids(entries))


def _of_refs(refs: Sequence[LocatedId]) -> Groups:
    ids: list[LocatedId] = []
    first: tuple[int, str] | None = None
    for entry in refs:
        *parents, group = entry.value.split("/")
        found = _parents(entry, parents)
        first = first or found
        if found != first:
            problem = f"{entry.value} is of another project than {refs[0].value} ({refs[0].where})"
            raise ConfigurationError(
                f"{entry.where}: {problem}: name target groups of one project, as a bulk job is for one"
            )
        ids.append(LocatedId(group, entry.where))
    assert first is not None  # noqa: S101 - there is one
    return Groups(*first, _check_ids(ids))


def _parents(entry: LocatedId, parents: list[str]) -> tuple[int, str]:
    """Return the account and the project that a ref names. Raises `ConfigurationError`."""
    if len(parents) == 3:
        problem = "names a run; bulk jobs are for target groups: leave out the last id"
        raise ConfigurationError(f"{entry.where}: {entry.value!r} {problem}")
    number = parents[0]
    if len(parents) != 2 or not (number.isascii() and number.isdigit()):
        raise ConfigurationError(
            f"{entry.where}: {entry.value!r} is not of the form {GROUP}: give the three ids in one argument"
        )
    try:
        return check_account_id(int(number)), check_ulid("project_id", parents[1])
    except ConfigurationError as error:
        raise ConfigurationError(f"{entry.where}: {error.message}") from None


def _check_ids(ids: Iterable[LocatedId]) -> tuple[str, ...]:
    """Return the ids in order. Raises `ConfigurationError` if one is malformed or repeated."""
    first: dict[str, str] = {}
    for entry in ids:
        if entry.value in first:
            places = first[entry.value]
            places += "" if places == entry.where else f" and {entry.where}"
            raise ConfigurationError(f"{entry.value} is named more than once ({places}): name it once")
        try:
            check_ulid("id", entry.value)
        except ConfigurationError:
            problem = f"{entry.value!r} is not a target group id: it must be 26 characters out of 0-9 and A-Z"
            raise ConfigurationError(f"{entry.where}: {problem}") from None
        first[entry.value] = entry.where
    return tuple(first)
