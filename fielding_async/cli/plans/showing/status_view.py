"""What `fielding plans status` shows: lines for a width. Pure."""

from collections.abc import Sequence
from textwrap import wrap

from rich.text import Text

from fielding_async.cli.shared.output import counted, duration, printable
from fielding_async.cli.shared.text_table import Column, lay_out, table_lines
from fielding_async.plans import PlanStatus, PlanWorker

from .texts import counts_text, heading, left_text, state_of, time_text

__all__ = ["status_lines"]

_WORKERS = (
    Column(title="Worker", shortest=16),
    Column(title="Shards", rank=2, is_number=True),
    Column(title="Lease left", rank=1, is_number=True),
    Column(title="Last written (UTC)", rank=3),
)
_BAR = 40  # cells
_STYLES = {"finished": "green", "worked on": "green", "no worker": "yellow", "paused": "yellow", "cancelled": "red"}


def status_lines(
    status: PlanStatus,
    *,
    width: int | None,
    is_drawn: bool = False,
    pace: float | None = None,
    note: str = "",
    most_workers: int = 50,
) -> list[Text]:
    """Return how far a plan is as lines. `width`: in cells, `None` for any. `is_drawn`: with a bar.

    `pace`: rows a second, if it is known. `note`: what is wrong, if anything.
    """
    room = width or 10_000
    lines = [_line(heading(status), room, f"bold {_STYLES.get(state_of(status), '')}".strip())]
    if is_drawn:
        lines.append(_bar(status, min(_BAR, room - 6)))
    lines += [Text(line) for line in wrap(counts_text(status), room)]
    if pace is not None:
        lines.append(_line(left_text(status, pace), room))
    lines += [Text(line) for line in _facts(status, room)]
    if status.workers:
        shown = sorted(status.workers, key=lambda worker: (-worker.shards, worker.holder))
        rows = [_worker(worker) for worker in shown[:most_workers]]
        lines += [Text(), *table_lines(_WORKERS, rows, lay_out(_WORKERS, rows, width))]
        if len(shown) > most_workers:
            lines.append(Text(f"and {len(shown) - most_workers:,} more", "dim"))
    if note:
        lines += [Text(line, "yellow") for line in wrap(note, room)]
    return lines


def _line(text: str, room: int, style: str = "") -> Text:
    line = Text(text, style)
    line.truncate(room, overflow="ellipsis")
    return line


def _bar(status: PlanStatus, cells: int) -> Text:
    share = status.counts.ended / status.rows if status.rows else 1.0
    full = int(share * cells)
    return Text.assemble(("█" * full, "green"), ("░" * (cells - full), "dim"), f" {int(share * 100):3} %")


def _facts(status: PlanStatus, room: int) -> Sequence[str]:
    held = sum(worker.shards for worker in status.workers if worker.lease_left > 0)
    shards = f"{status.shards_finished:,} of {counted(status.shards, 'shard')} finished, {held:,} leased"
    facts = [
        ("exchange", "none yet" if status.base_url is None else printable(status.base_url)),
        ("shards", shards),
        ("submitted", time_text(status.submitted_at, otherwise="")),
        ("begun", time_text(status.began_at, otherwise="not yet")),
        ("last written", time_text(status.last_written_at, otherwise="nothing yet")),
    ]
    if status.finished_at is not None:
        facts.append(
            ("cancelled" if status.state == "cancelled" else "finished", time_text(status.finished_at, otherwise=""))
        )
    lines: list[str] = []
    for name, text in facts:
        lines += wrap(text, room, initial_indent=f"  {name:14}", subsequent_indent=" " * 16)
    return lines


def _worker(worker: PlanWorker) -> list[str]:
    left = duration(worker.lease_left) if worker.lease_left > 0 else "over"
    written = worker.last_written_at
    return [
        printable(worker.holder),
        f"{worker.shards:,}",
        left,
        "" if written is None else f"{written:%Y-%m-%d %H:%M:%S}",
    ]
