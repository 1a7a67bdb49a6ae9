"""Journals as texts, group by group, for tests that begin with one that an earlier process has left."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from fielding_async.journal.chain import Head, group_bytes
from fielding_async.journal.head_file import HeadFile
from fielding_async.journal.lines import header_line
from fielding_async.journal.replay import Replay
from fielding_async.journal.values import Binding

__all__ = ["WRITTEN", "journal_text", "leave_head", "unchained_commit"]

WRITTEN = datetime(2031, 5, 17, 8, tzinfo=UTC)
"""When every group was written."""


def journal_text(binding: Binding, *groups: Sequence[bytes]) -> bytes:
    """Return a journal of these groups of records, in the format that `binding` names."""
    text = header_line(binding)
    replay = Replay()
    replay.begin(text)
    digest = replay.digest
    for number, records in enumerate(groups, 1):
        if binding.format == 1:
            text += unchained_commit(number) + b"".join(records)
        else:
            group, digest = group_bytes(number, WRITTEN, records, digest)
            text += group
    return text


def leave_head(path: Path, head: Head) -> None:
    """Leave this head beside a journal."""
    file = HeadFile(str(path), f"journal={str(path)!r}")
    file.write(head)
    file.close()


def unchained_commit(number: int) -> bytes:
    """Return the line that begins a group of format 1."""
    return b'{"commit":%d}\n' % number
