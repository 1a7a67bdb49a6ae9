"""Journals of any size as values, for pages."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from fielding_async import FieldingRun, JournalEvent, JournalRow, Pause, RunRef, Update
from fielding_async.cli.shared.page.values import Report

__all__ = ["BAD", "BEGAN", "REF", "large_report", "report", "row", "run"]

BEGAN = datetime(2031, 5, 17, 9, tzinfo=UTC)
REF = RunRef(101, "0" * 26, "01BTGNYV6HRNK8K8VKZASZCFP1", "01BTGNYV6HRNK8K8VKZASZCFP2")
BAD = "</script><img src=x onerror=alert(1)>\"'&\u2028\x1b[31m<!--"
"""A text from outside that would be a script, an image or a comment if it were not escaped."""
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def run(name: str = REF.fielding_run_id, **more: Any) -> FieldingRun:
    """A run as it was before a write."""
    values: dict[str, Any] = {
        "id": name,
        "status": "live",
        "version": 3,
        "start_fielding_at": BEGAN - timedelta(days=9),
        "end_fielding_at": BEGAN + timedelta(days=9),
    }
    return FieldingRun(**values | more)


def row(number: int, **more: Any) -> JournalRow:
    """A row that is done, a second after the one before."""
    values: dict[str, Any] = {
        "number": number,
        "ref": REF,
        "action": Pause(),
        "state": "done",
        "effect": "accepted",
        "time": BEGAN + timedelta(seconds=number),
        "before": run(),
        "trace_id": f"{number:032x}",
    }
    return JournalRow(**values | more)


def report(*rows: JournalRow, **more: Any) -> Report:
    """The report of these rows."""
    values: dict[str, Any] = {
        "name": "plan.csv.journal",
        "base_url": "https://fake.invalid/v1",
        "made_at": BEGAN + timedelta(hours=1),
        "rows": rows,
    }
    return Report(**values | more)


def large_report(rows: int) -> Report:
    """A journal of many rows with every effect, two pauses and an outage; its ids and trace ids are all different."""
    dice = Random(20)
    found: list[JournalRow] = []
    events: list[JournalEvent] = []
    time = BEGAN
    for number in range(rows):
        time += timedelta(milliseconds=dice.randrange(100))
        if number in {rows // 5, rows // 2}:
            began, time = time, time + timedelta(seconds=12)
            times: dict[str, Any] = {"began_at": began, "ended_at": time}
            events.append(JournalEvent(time=time, kind="pause", seconds=12.0, reason="429", **times))
        if number == rows // 3:
            events.append(JournalEvent(time=time, kind="outage", seconds=None, reason="TransportError: refused"))
            time += timedelta(minutes=3)
            events.append(JournalEvent(time=time, kind="back", seconds=180.0, reason=""))
        group, name = ("01" + "".join(dice.choices(_ALPHABET, k=24)) for _ in range(2))
        update = Update(end_fielding_at=BEGAN + timedelta(days=11, minutes=number % 7))
        kinds: list[dict[str, Any]] = [
            *({"conflicts": int(dice.random() < 0.05)},) * 18,
            {"effect": "already", "before": None},
            {"action": update},
        ]
        more = dice.choice(kinds)
        if dice.random() < 0.03:
            state = dice.choice(["failed", "unknown", "skipped", "stuck", "in flight"])
            more = {"state": state, "effect": None}
            if state != "in flight":
                more |= {"error": "InvalidRunStateError", "message": f"POST /x: the run is {dice.choice('ab')}: no"}
        found.append(
            row(
                number,
                ref=RunRef(101, "0" * 26, group, name),
                time=time,
                trace_id="".join(dice.choices("0123456789abcdef", k=32)),
                **({"before": run(name)} | more),
            )
        )
    return report(*found, events=tuple(events), began_at=BEGAN, last_written_at=time)
