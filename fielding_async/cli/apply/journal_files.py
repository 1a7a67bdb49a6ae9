"""Finds and reads the journal of a plan.

Among journals whose names have a date it is the one to go on with, or a new one of today.
"""

import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from fielding_async import JournalSummary, read_journal
from fielding_async.cli.shared.plan.checked_plan import Block, CheckedPlan, rows_left
from fielding_async.cli.shared.plan.file import PlanFile
from fielding_async.cli.shared.plan.lines import Place
from fielding_async.cli.shared.plan.row import BadLine, Defaults, PlanRow
from fielding_async.core.actions import Action
from fielding_async.core.errors import ConfigurationError
from fielding_async.core.models import RunRef
from fielding_async.journal.head_file import ended_by_head
from fielding_async.journal.reader import ReadJournal, read_lines
from fielding_async.journal.records import DoneRows
from fielding_async.journal.regular_file import open_regular
from fielding_async.journal.replay import Replay, begins_a_journal
from fielding_async.journal.values import Binding, is_same_exchange

from .journal_pattern import JournalPattern

__all__ = ["find_journal", "is_unbegun", "pairs_left", "read_replay"]

_LONGEST = 1 << 20  # bytes of a first line


def find_journal(pattern: JournalPattern, checked: CheckedPlan, *, base_url: str, today: date) -> Path:
    """Return the journal for a plan: the unfinished one that fits the pattern, whatever its date, else that of today.

    `today`: the date in UTC. Journals of other plans and of other exchanges are passed over. Raises
    `ConfigurationError` if two journals of this plan are unfinished, or if a file that fits cannot be read: it might be
    one to go on with.
    """
    if not pattern.is_dated:
        return pattern.path(today)
    unfinished = [path for path in _fitting(pattern) if _is_unfinished(path, checked, base_url)]
    if len(unfinished) > 1:
        names = " and ".join(str(path) for path in unfinished)
        raise ConfigurationError(
            f"--journal: {len(unfinished)} journals of this plan are unfinished: {names}; nothing was sent. Name"
            " the one to continue; a row that both have may have been sent by either"
        )
    return unfinished[0] if unfinished else pattern.path(today)


def _fitting(pattern: JournalPattern) -> list[Path]:
    expression = pattern.expression()
    try:
        return sorted(path for path in pattern.folder.iterdir() if expression.fullmatch(path.name))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigurationError(
            f"--journal: the folder {pattern.folder} cannot be read: {error.strerror or error}; nothing was"
            " sent. Make it readable, or name a file in another one"
        ) from None


def _is_unfinished(path: Path, checked: CheckedPlan, base_url: str) -> bool:
    """Whether a file is a journal of this plan with rows left."""
    try:
        if is_unbegun(path):
            return False
        binding = _binding(path)
        if binding.plan != checked.digest or not is_same_exchange(binding.base_url, base_url):
            return False
        ended = ended_by_head(str(path), f"journal={str(path)!r}")
        if ended is not None and ended >= checked.rows:
            return False  # there may be many of them, of which one line each was read
        summary: JournalSummary = read_journal(path)
    except OSError as error:
        raise ConfigurationError(
            f"the journal {path}: {error.strerror or error}; nothing was sent. Make it readable"
        ) from None
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{error.message}; nothing was sent. Its name fits --journal, so it might be the one to continue: repair"
            " it, or move it away if it is not"
        ) from None
    return summary.counts.ended < checked.rows


def _binding(path: Path) -> Binding:
    """Return what a journal belongs to, from its first line alone."""
    name = f"journal={str(path)!r}"
    fd = open_regular(str(path), os.O_RDONLY, name)
    try:
        return next(read_lines(fd, name, Replay()))
    finally:
        os.close(fd)


def read_replay(path: Path) -> Replay:
    """Return the state of every row of a journal. Raises `ConfigurationError` if it cannot be read; `OSError`."""
    name = f"journal={str(path)!r}"
    replay = Replay()
    fd = open_regular(str(path), os.O_RDONLY, name)
    try:
        for _ in read_lines(fd, name, replay):
            pass
    finally:
        os.close(fd)
    return replay


def is_unbegun(journal: Path) -> bool:
    """Whether the journal does not exist, or a crash tore its first line: nothing is sent before that line is whole."""
    name = str(journal)
    try:
        with os.fdopen(open_regular(name, os.O_RDONLY, f"journal={name!r}"), "rb") as file:
            first = file.readline(_LONGEST)
    except FileNotFoundError:
        return True
    return not first.endswith(b"\n") and begins_a_journal(first)


def pairs_left(
    file: PlanFile, defaults: Defaults, checked: CheckedPlan, journal: ReadJournal
) -> Iterator[tuple[RunRef, Action] | DoneRows]:
    """Yield the rows of a plan as a batch takes them, without reading those of which the journal says that all is done.

    Only what was checked is yielded; see `rows_left`.
    """

    def read(start: Place | None) -> Iterator[PlanRow | BadLine]:
        return file.rows(defaults, start=start)

    def passed(block: Block) -> DoneRows | None:
        replay = journal.replay
        if replay is None or checked.guarded or checked.names_no_runs:
            return None  # a guarded row may need the ETag that one before it left
        done = DoneRows(block.rows, block.check_sum)
        return done if replay.are_done(block.first, done) else None

    return (row if isinstance(row, DoneRows) else row.pair for row in rows_left(read, checked, passed))
