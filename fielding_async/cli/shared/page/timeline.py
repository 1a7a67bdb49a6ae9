"""A batch over time as SVG: rows, conflicts, pauses and outages. Pure."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from html import escape

from attrs import frozen

from fielding_async import JournalEvent
from fielding_async.cli.shared.output import duration
from fielding_async.cli.shared.row_texts import EFFECTS, effect_of

from .values import Report

__all__ = ["Span", "clock", "spans_of", "timeline"]

_WIDTHS = (*(0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800), *(3600 * n for n in (1, 2, 4, 8, 24)))
_MOST_BINS = 120
_BREAK = timedelta(hours=1)  # nothing on record for so long: the batch was not running
_MOST_PARTS = 8
_SHORT = 10.0  # seconds
_HEIGHT = 100
_DONE, _NOT_DONE = EFFECTS[:3], EFFECTS[3:]
_CLASSES = {effect: f"e{number}" for number, effect in enumerate(EFFECTS)}


@frozen
class Span:
    """A pause, several pauses, or an outage.

    `is_over` is false for an outage whose end is not on record. `count`: how many pauses it stands for; `paused`: how
    many seconds they took together, which is less than from start to end if there are several.
    """

    kind: str
    start: datetime
    end: datetime
    reason: str
    is_over: bool = True
    count: int = 1
    paused: float | None = None

    @property
    def seconds(self) -> float:
        """How long it took, without the time between several pauses."""
        return (self.end - self.start).total_seconds() if self.paused is None else self.paused

    @property
    def length(self) -> str:
        """How long it took, in words."""
        took = f"{self.seconds:.1f} s" if self.seconds < _SHORT else duration(self.seconds)
        if self.count == 1:
            return took if self.is_over else f"{took}, no end on record"
        return (
            f"{took} in {self.count:,} pauses, {duration((self.end - self.start).total_seconds())} from first to last"
        )


def clock(time: datetime) -> str:
    """Return a time in UTC, for people."""
    return f"{time:%Y-%m-%d %H:%M:%S}"


def spans_of(report: Report) -> list[Span]:
    """Return pauses and outages, in order. An outage ends when the exchange is back, or with the journal."""
    found: list[Span] = []
    away: tuple[datetime, str] | None = None
    last = max([time for time in (report.last_written_at, *_times(report)) if time is not None], default=None)
    for event in report.events:
        if event.kind == "pause":
            found.append(_pause(event))
        elif event.kind == "outage":
            away = away or (event.time, event.reason)
        elif away is not None:
            found.append(Span("outage", away[0], max(event.time, away[0]), away[1]))
            away = None
    if away is not None and last is not None:
        found.append(Span("outage", away[0], max(last, away[0]), away[1], is_over=False))
    return sorted(found, key=lambda span: span.start)


def _pause(event: JournalEvent) -> Span:
    end = event.ended_at or event.time
    start = event.began_at or end - timedelta(seconds=event.seconds or 0)
    return Span("pause", start, max(start, end), event.reason, count=event.count, paused=event.seconds)


def _times(report: Report) -> list[datetime]:
    times = [row.time for row in report.rows if row.time is not None]
    return sorted([*times, *(event.time for event in report.events)])


def timeline(report: Report) -> str:
    """Return the timeline as HTML: one part for each time that the batch ran. Empty if no time is on record."""
    spans = spans_of(report)
    times = sorted([*_times(report), *(time for span in spans for time in (span.start, span.end))])
    if not times:
        return ""
    parts = _parts(times, spans)
    return "\n".join(_part(report, spans, start, end, several=len(parts) > 1) for start, end in parts)


def _parts(times: Sequence[datetime], spans: Sequence[Span]) -> list[tuple[datetime, datetime]]:
    """Return the times between which something is on record at least once an hour."""
    parts: list[list[datetime]] = []
    for time in times:
        is_covered = bool(parts) and any(span.start <= parts[-1][1] and time <= span.end for span in spans)
        if parts and (time - parts[-1][1] <= _BREAK or is_covered):
            parts[-1][1] = time
        else:
            parts.append([time, time])
    if len(parts) > _MOST_PARTS:
        return [(parts[0][0], parts[-1][1])]
    return [(start, end) for start, end in parts]


@frozen
class _Bins:
    start: datetime
    width: float
    count: int

    def at(self, time: datetime) -> int:
        return min(self.count - 1, max(0, int((time - self.start).total_seconds() / self.width)))

    def place(self, time: datetime) -> float:
        return min(float(self.count), max(0.0, (time - self.start).total_seconds() / self.width))

    def time(self, number: int) -> datetime:
        return self.start + timedelta(seconds=number * self.width)


def _bins(start: datetime, end: datetime) -> _Bins:
    seconds = (end - start).total_seconds()
    least = seconds / _MOST_BINS
    at = bisect_right(_WIDTHS, least)
    width = _WIDTHS[at] if at < len(_WIDTHS) else 86_400.0 * (least // 86_400 + 1)
    return _Bins(start, width, int(seconds / width) + 1)


def _part(report: Report, spans: Sequence[Span], start: datetime, end: datetime, *, several: bool) -> str:
    bins = _bins(start, end)
    rows: list[Counter[str]] = [Counter() for _ in range(bins.count)]
    conflicts: list[Counter[str]] = [Counter() for _ in range(bins.count)]
    for row in report.rows:
        if row.time is not None and start <= row.time <= end:
            rows[bins.at(row.time)][effect_of(row)] += 1
            if row.conflicts:
                conflicts[bins.at(row.time)]["conflicts"] += row.conflicts
    each = f"{bins.width:g} s" if bins.width < 60 else duration(bins.width)
    inside = [span for span in spans if span.start <= end and span.end >= start]
    lanes = [
        _bars("Done", _DONE, rows, bins, each, tall=True),
        _bars("Not done", _NOT_DONE, rows, bins, each),
        _bars("Conflicts", ("conflicts",), conflicts, bins, each),
        _bands("Pauses", "pause", inside, bins),
        _bands("Outages", "outage", inside, bins),
    ]
    long = duration((end - start).total_seconds())
    head = f"<h3>{clock(start)} to {clock(end)} UTC, {long}</h3>" if several else ""
    last = bins.time(bins.count)
    marks = "".join(f"<span>{clock(time)}</span>" for time in (start, start + (last - start) / 2, last))
    return (
        f'{head}<div class="lanes">{"".join(lanes)}<div class="lane axis"><span></span><div>{marks}</div></div></div>'
    )


def _lane(label: str, note: str, svg: str) -> str:
    return f'<div class="lane"><span>{escape(label)}<small>{escape(note)}</small></span>{svg}</div>'


def _svg(bins: _Bins, label: str, inner: str, *, kind: str) -> str:
    return (
        f'<svg class="{kind}" role="img" aria-label="{escape(label)}" viewBox="0 0 {bins.count} {_HEIGHT}"'
        f' preserveAspectRatio="none">{inner}</svg>'
    )


def _bars(
    label: str, names: Sequence[str], counts: Sequence[Counter[str]], bins: _Bins, each: str, *, tall: bool = False
) -> str:
    sums = [sum(count[name] for name in names) for count in counts]
    most, total = max(sums), sum(sums)
    if not total:
        return _lane(label, "none", "<span></span>")
    drawn: list[str] = []
    for number, count in enumerate(counts):
        if not sums[number]:
            continue
        top = float(_HEIGHT)
        parts: list[str] = []
        for name in names:
            if not count[name]:
                continue
            height = count[name] / most * _HEIGHT
            top -= height
            parts.append(
                f'<rect class="{_CLASSES.get(name, name)}" x="{number}.05" y="{top:.2f}" width=".9"'
                f' height="{height:.2f}"/>'
            )
        what = ", ".join(f"{count[name]:,} {name}" for name in names if count[name])
        drawn.append(f"<g><title>{clock(bins.time(number))}, {each}: {what}</title>{''.join(parts)}</g>")
    said = f"{label}: {total:,}, at most {most:,} in {each}"
    return _lane(
        label,
        f"{total:,}; at most {most:,} in {each}",
        _svg(bins, said, "".join(drawn), kind="tall" if tall else "low"),
    )


def _bands(label: str, kind: str, spans: Sequence[Span], bins: _Bins) -> str:
    found = [span for span in spans if span.kind == kind]
    if not found:
        return _lane(label, "none", "<span></span>")
    drawn: list[str] = []
    least = bins.count / 400  # so that a short one can be seen
    for span in found:
        left, right = bins.place(span.start), bins.place(span.end)
        width = max(right - left, least)
        left = min(left, bins.count - width)
        drawn.append(
            f"<g><title>{clock(span.start)}, {span.length}: {escape(span.reason)}</title>"
            f'<rect class="{kind}" x="{left:.3f}" y="0" width="{width:.3f}" height="{_HEIGHT}"/></g>'
        )
    total = duration(sum(span.seconds for span in found))
    note = f"{sum(span.count for span in found):,}; {total} in all"
    return _lane(label, note, _svg(bins, f"{label}: {note}", "".join(drawn), kind="band"))
