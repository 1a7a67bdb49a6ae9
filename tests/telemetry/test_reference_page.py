"""The reference of traces, metrics and logs says what the code does."""

import logging
import re
from pathlib import Path
from typing import get_args

import pytest

from fielding_async.telemetry.log_lines import EXTRA, LINES
from fielding_async.telemetry.signal_names import (
    CALL_ATTRIBUTES,
    EVENTS,
    GAUGES,
    METRICS,
    REQUEST_ATTRIBUTES,
    WaitReason,
)

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "telemetry.md"

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="not run from a checkout")


def table(first: str, *others: str) -> list[list[str]]:
    """Return the cells of the table with these heads: names without their quotes, lists split."""
    page = PAGE.read_text()
    head = "| " + " | ".join((first, *others)) + " |\n"
    assert page.count(head) == 1
    rows = page.partition(head)[2].partition("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]


def names(cell: str) -> tuple[str, ...]:
    """Return what is quoted in a cell."""
    return tuple(re.findall(r"`([^`]+)`", cell))


def test_the_attributes_of_spans_are_those_documented() -> None:
    """The two tables of attributes name those of the code, in their order."""
    page = PAGE.read_text()
    calls, requests = page.split("### Attributes of a")[1:]
    for part, attributes in ((calls, CALL_ATTRIBUTES), (requests.partition("###")[0], REQUEST_ATTRIBUTES)):
        assert tuple(re.findall(r"^\| `([a-z_.]+)` \|", part, re.MULTILINE)) == attributes


def test_the_events_are_those_documented() -> None:
    """The table of events has the names and attributes of the code, that of reasons all reasons."""
    documented = {names(row[0])[0]: names(row[1]) for row in table("event", "attributes", "when")}
    assert documented == {name: event.attributes for name, event in EVENTS.items()}
    assert tuple(names(row[0])[0] for row in table("reason", "the call waited for")) == get_args(WaitReason)


def test_the_metrics_are_those_documented() -> None:
    """The table of metrics has the names, kinds, units and attributes of the code."""
    rows = table("metric", "kind", "unit", "attributes", "what it is")
    documented = [(names(row[0])[0], row[1], names(row[2])[0], names(row[3])) for row in rows]
    assert documented == [(row.name, row.kind, row.unit, row.attributes) for row in METRICS.values()]


def test_the_gauges_are_those_documented() -> None:
    """The table of gauges has the names, kinds, units and attributes of the code, and what sessions share."""
    rows = table("gauge", "kind", "unit", "attributes", "of several sessions", "what it is")
    documented = [(names(row[0])[0], row[1], names(row[2])[0], names(row[3]), row[4]) for row in rows]
    assert documented == [(row.name, row.kind, row.unit, row.attributes, row.of_several) for row in GAUGES.values()]


def test_the_values_of_log_records_are_those_documented() -> None:
    """The list of attributes of log records names the value of every line, once."""
    values = {name for _, text in LINES.values() for name in re.findall(r"%\((\w+)\)", text)}
    documented = [names(row[0])[0] for row in table("attribute", "of", "what it is")]
    assert sorted(documented) == sorted(
        f"{EXTRA}{name}" for name in {"line", "session", "operation", "trace_id", *values}
    )


def test_the_lines_are_those_documented() -> None:
    """The table of log lines has the levels and texts of the code."""
    documented = [(row[0], row[1], names(row[2])[0]) for row in table("line", "level", "text")]
    assert documented == [(name, logging.getLevelName(level), text) for name, (level, text) in LINES.items()]


def test_the_code_on_the_page_runs() -> None:
    """What the page shows as Python can be run as it is."""
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        if "basicConfig" not in block:  # which would change the log of the tests themselves
            exec(compile(block, str(PAGE), "exec"), {"__name__": "page"})
