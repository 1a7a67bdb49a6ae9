"""The page as a text: what it says, and that nothing from outside becomes a part of it."""

import json
import re
from base64 import b64encode
from datetime import timedelta
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any

import pytest

from fielding_async import JournalEvent, RunRef, Update
from fielding_async.cli.shared.page.document import MARK, page
from fielding_async.cli.shared.page.timeline import spans_of
from fielding_async.core.redaction import Redactor

from .journals import BAD, BEGAN, REF, large_report, report, row, run


class Reader(HTMLParser):
    """Reads a page as a browser does: its elements, its texts, and what is in its scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self._tag = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag = tag
        self.tags.append((tag, dict(attrs)))
        if tag in {"script", "style"}:
            self.inside.append((tag, ""))

    def handle_endtag(self, tag: str) -> None:
        self._tag = ""

    def handle_data(self, data: str) -> None:
        if self._tag in {"script", "style"}:
            tag, before = self.inside[-1]
            self.inside[-1] = (tag, before + data)
        else:
            self.texts.append(data)

    @property
    def shown(self) -> str:
        """All texts that are not in a script."""
        return re.sub(r"\s+", " ", " ".join(self.texts))

    @property
    def data(self) -> Any:
        """The rows."""
        return json.loads(self.inside[1][1])

    def cells(self, at: int) -> list[str]:
        """The cells of a row, as texts."""
        columns, strings = self.data["columns"], self.data["strings"]
        return [
            str(value) if column["kind"] in {"number", "time"} else strings[value]
            for column, value in zip(columns, self.data["rows"][at], strict=True)
        ]


def test_the_page_asks_for_nothing() -> None:
    """No element leads anywhere, and the policy allows only its own style and script, by their hashes."""
    text = page(large_report(300))
    reader = Reader(text)
    assert text.startswith(MARK)
    assert not [(tag, found) for tag, found in reader.tags if {"src", "href", "style", "action", "onclick"} & {*found}]
    assert not {"img", "link", "iframe", "object", "base"} & {tag for tag, _ in reader.tags}
    (policy,) = [found["content"] for tag, found in reader.tags if tag == "meta" and "http-equiv" in found]
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    (style, _data, script) = reader.inside
    for name, inside in (("style-src", style[1]), ("script-src", script[1])):
        digest = b64encode(sha256(inside.encode()).digest()).decode()
        assert f"{name} 'sha256-{digest}'" in policy
    assert "http" not in script[1].replace("http-equiv", "")
    assert "innerHTML" not in script[1]
    assert "url(" not in style[1]
    assert "@import" not in style[1]


def test_no_text_from_outside_is_a_part_of_the_page() -> None:
    """Messages, ids, reasons, names and addresses that hold elements are shown as texts."""
    ref = RunRef(101, "0" * 26, BAD, BAD)
    bad = row(0, ref=ref, state="failed", effect=None, error="Error", message=BAD, trace_id=BAD, before=run(BAD))
    other = row(1, before=run(status=BAD))
    events = (JournalEvent(time=BEGAN, kind="pause", seconds=3.0, reason=BAD),)
    reader = Reader(page(report(bad, other, name=BAD, base_url=BAD, events=events)))
    plain = Reader(page(report(row(0, state="failed", effect=None, error="Error"), row(1), events=events[:1])))
    assert [tag for tag, _ in reader.tags] == [tag for tag, _ in plain.tags]
    assert len(reader.inside) == 3
    visible = BAD.replace("\u2028", "\\u2028").replace("\x1b", "\\x1b")
    assert reader.shown.count(visible) >= 4
    _, _, group, name, _, _, _, _, trace, error = reader.cells(0)
    assert {group, name, trace} == {visible}
    assert error == f"Error: {visible}"
    assert reader.cells(1)[5] == f"{visible} → paused"


def test_no_secret_is_in_the_page() -> None:
    """What the redactor knows is taken out of messages and reasons."""
    secret = "a-secret-token-of-the-test"
    events = (JournalEvent(time=BEGAN, kind="pause", seconds=3.0, reason=f"told {secret}"),)
    bad = row(0, state="failed", effect=None, error="Error", message=f"refused {secret}")
    assert secret in page(report(bad, events=events))
    text = page(report(bad, events=events, redact=Redactor([secret]).text))
    assert secret not in text
    assert text.count("***") >= 3


def test_rows_say_what_was_changed() -> None:
    """Each row has its number, time, ids, action, change, effect, conflicts, trace id and error."""
    update = Update(end_fielding_at=BEGAN + timedelta(days=10))
    failed = row(2, state="failed", effect=None, error="NotFoundError", message="GET /x: gone [trace_id=1]", ref=None)
    reader = Reader(page(report(row(0, conflicts=2), row(1, action=update), failed)))
    time = str(round(BEGAN.timestamp() * 1000))
    ids = [REF.target_group_id, REF.fielding_run_id]
    assert reader.cells(0) == ["0", time, *ids, "pause", "live → paused", "accepted", "2", "0" * 32, ""]
    assert reader.cells(1)[5] == "end 2031-05-26T09:00:00Z → 2031-05-27T09:00:00Z"
    assert reader.cells(2)[2:4] == ["", REF.fielding_run_id]
    assert reader.cells(2)[-1] == "NotFoundError: gone"
    assert "3 rows on record, 2 done, 1 not done" in reader.shown


def test_lines_of_the_plan_stand_for_numbers_where_they_are_known() -> None:
    """With a plan the column is its line, and the rows that are not on record are told."""
    reader = Reader(page(report(row(0), row(1), total=5, line_of=lambda number: number + 2)))
    assert reader.data["columns"][0]["name"] == "Line"
    assert [reader.cells(at)[0] for at in (0, 1)] == ["2", "3"]
    assert "2 rows on record, all of them done; the plan has 5 rows." in reader.shown


def test_reasons_are_counted_most_frequent_first() -> None:
    """Rows that are not done, by effect, action and reason, without what differs from row to row."""
    rows = [
        row(n, state="failed", effect=None, error="NotFoundError", message=f"POST /{n}: gone [trace_id={n}]")
        for n in range(3)
    ]
    reader = Reader(page(report(row(9, state="unknown", effect=None, error="OutcomeUnknownError"), *rows)))
    assert "3 failed pause NotFoundError: gone" in reader.shown
    assert reader.shown.index("NotFoundError: gone") < reader.shown.index("OutcomeUnknownError")


def test_pauses_and_outages_are_spans_of_time() -> None:
    """An outage lasts until the exchange is back, or to the end of the journal where it is not."""
    second = timedelta(seconds=1)
    pause: dict[str, Any] = {"began_at": BEGAN + 8 * second, "ended_at": BEGAN + 10.5 * second}
    several: dict[str, Any] = {"began_at": BEGAN + 11 * second, "ended_at": BEGAN + 19 * second, "count": 3}
    events = (
        JournalEvent(time=BEGAN + 1 * second, kind="outage", seconds=None, reason="refused"),
        JournalEvent(time=BEGAN + 2 * second, kind="outage", seconds=None, reason="still"),
        JournalEvent(time=BEGAN + 7 * second, kind="back", seconds=6.0, reason=""),
        JournalEvent(time=BEGAN + 12 * second, kind="pause", seconds=2.5, reason="429", **pause),
        JournalEvent(time=BEGAN + 19.5 * second, kind="pause", seconds=5.5, reason="429", **several),
        JournalEvent(time=BEGAN + 20 * second, kind="outage", seconds=None, reason="reset"),
    )
    found = spans_of(report(row(30), events=events))
    lengths = [
        (span.kind, (span.start - BEGAN).total_seconds(), (span.end - BEGAN).total_seconds(), span.reason, span.is_over)
        for span in found
    ]
    assert lengths == [
        ("outage", 1.0, 7.0, "refused", True),
        ("pause", 8.0, 10.5, "429", True),
        ("pause", 11.0, 19.0, "429", True),
        ("outage", 20.0, 30.0, "reset", False),
    ]
    text = page(report(row(30), events=events))
    shown = Reader(text).shown
    assert "10 s, no end on record" in shown
    assert "pause 2.5 s 429" in shown
    assert "pause 5.5 s in 3 pauses, 8 s from first to last 429" in shown
    assert 'aria-label="Pauses: 4; 8 s in all"' in text


def test_the_timeline_has_a_part_for_each_time_that_the_batch_ran() -> None:
    """A batch that was gone on with a day later has two parts; all rows of both are in the bars."""
    late = [row(number, time=BEGAN + timedelta(days=1, seconds=number)) for number in (5, 6, 7)]
    text = page(report(row(0), row(1), *late))
    assert re.findall(r"<h3>(.*?) to", text) == ["2031-05-17 09:00:00", "2031-05-18 09:00:05"]
    bars = re.findall(r"<title>[^<]*: (\d+) accepted</title>", text)
    assert sum(map(int, bars)) == 5


def test_a_clock_that_was_set_back_is_said() -> None:
    """No length of time is negative: not that of the batch, and not that of an outage."""
    hour = timedelta(hours=1)
    events = (
        JournalEvent(time=BEGAN, kind="outage", seconds=None, reason="refused"),
        JournalEvent(time=BEGAN - hour, kind="back", seconds=60.0, reason=""),
    )
    found = report(row(0), events=events, began_at=BEGAN, last_written_at=BEGAN - hour)
    (span,) = spans_of(found)
    assert (span.start, span.end) == (BEGAN, BEGAN)
    shown = Reader(page(found)).shown
    assert "; the clock was set back in between" in shown
    assert not re.search(r"-\d+ (s|min|h)\b", shown)


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_a_journal_without_times_or_rows_has_a_page(rows: int) -> None:
    """Nothing to draw is said in words."""
    reader = Reader(page(report(*(row(number, time=None) for number in range(rows)))))
    assert "The journal has no times on record." in reader.shown
    assert f"{rows} rows on record" in reader.shown


def test_one_moment_is_drawn() -> None:
    """A journal whose rows have one time: one bar, as wide as the chart."""
    text = page(report(row(0), row(1, time=BEGAN)))
    assert 'viewBox="0 0 1 100"' in text
    assert "2 accepted" in text
