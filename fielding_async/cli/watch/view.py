"""What `fielding watch` shows on a terminal: lines for its width and height. Pure."""

from collections.abc import Iterable
from datetime import datetime
from textwrap import wrap

from attrs import frozen
from rich.text import Text

from fielding_async.cli.shared.output import duration, printable
from fielding_async.cli.shared.text_table import Column, lay_out, table_lines
from fielding_async.cli.shared.value_texts import progress_text, status_style

from .runs import WatchedRun
from .texts import ORDER, changed_text, counts_text, span_text, time_left_text

__all__ = ["Situation", "screen_lines"]

_COLUMNS = (
    Column(title="Target group", shortest=14),
    Column(title="Status", rank=1, style=status_style),
    Column(title="Progress", rank=3, is_number=True),
    Column(title="%", rank=4, is_number=True),
    Column(title="Time left", rank=2, is_number=True),
    Column(title="Changed (UTC)", rank=5, shortest=16),
    Column(title="Id", rank=6),
)


@frozen(kw_only=True)
class Situation:
    """Where the watching stands. Times are aware datetimes.

    `read_at`: when all runs were last read, `None` before the first time. `next_at`: when the next reading starts,
    `None` while one is in progress. `failing_since` and `reason`: since when, and why, the runs cannot be read.
    `pause_left`: how long the server still has the session pause, in seconds.
    """

    project: str
    read_at: datetime | None = None
    next_at: datetime | None = None
    failing_since: datetime | None = None
    reason: str = ""
    pause_left: float = 0.0


def screen_lines(
    runs: Iterable[WatchedRun], situation: Situation, now: datetime, *, width: int, height: int
) -> list[Text]:
    """Return the lines of the screen, at most `height` (at least 5): counts, state, and the table of the runs."""
    shown = sorted(runs, key=_place)
    state, style = _state(situation, now)
    lines = [Text(line, "bold") for line in _wrapped(f"{situation.project}  {counts_text(shown)}", width)]
    lines += [Text(line, style) for line in _wrapped(state, width)]
    room = max(height - len(lines) - 1, 1)  # rows, below the titles of the columns
    if len(shown) > room:
        room -= 1  # for the line that says how many more there are
    rows = [_row(run, now) for run in shown[:room]]
    if rows:
        lines += table_lines(_COLUMNS, rows, lay_out(_COLUMNS, rows, width))
    if len(shown) > room:
        lines.append(Text(f"and {len(shown) - room:,} more", "dim"))
    return lines


def _wrapped(text: str, width: int) -> list[str]:
    return wrap(text, width, max_lines=2, placeholder=" …")


def _place(run: WatchedRun) -> tuple[int, datetime, str, str]:
    """Return the place of a run: by status, then that which ends first."""
    rank = ORDER.index(run.status) if run.status in ORDER else len(ORDER) - 1.5
    return (int(rank * 2), run.end, run.name, str(run.ref))


def _row(run: WatchedRun, now: datetime) -> list[str]:
    share = "" if not run.goal or run.progress is None else f"{int(run.progress / run.goal * 100)}"
    return [
        printable(run.name),
        printable(run.status),
        progress_text(run.progress, run.goal),
        share,
        time_left_text(run, now),
        changed_text(run, now),
        run.ref.target_group_id,
    ]


def _state(situation: Situation, now: datetime) -> tuple[str, str]:
    """Return a text on where the watching stands, and its style."""
    wait = None if situation.next_at is None else max((situation.next_at - now).total_seconds(), 0.0)
    if situation.failing_since is not None:
        since = span_text((now - situation.failing_since).total_seconds())
        tries = "trying it now" if wait is None else f"next try in {duration(wait)}"
        return f"for {since} the runs cannot be read; {tries} ({situation.reason})", "yellow"
    pause = f"; paused by the server, {situation.pause_left:.0f} s to go" if situation.pause_left >= 1 else ""
    age = "" if situation.read_at is None else f"read {span_text((now - situation.read_at).total_seconds())} ago, "
    then = "reading now" if wait is None else f"again in {duration(wait)}"
    return f"{age}{then}{pause}", "dim"
