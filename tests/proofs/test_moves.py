"""The way of a call through the package stays short: see `benchmarks/moves.py`."""

import pytest

from benchmarks.moves import walks

pytestmark = pytest.mark.once

MOST_MOVES = {
    # each call asks once whether global providers of OpenTelemetry have been set since, and its kind of resource once
    # for each of: its requests, what a reply shows, what a write leaves, its outcome
    "a warm pause": 47,
    # a reply with a body, or that refuses, goes through the door at which secrets are taken out
    "a cold update": 119,
    # `core/conflict/round_waits` notes what a round took; a reply that comes early or late is a move or two more
    "one 412": 170,
    # who waits asks the line in `core/pace/waiting_line` three times, and what a pause fails is in `engine/limiter`
    "one 429": 122,
    # each row passes by what keeps the order of a run, the ETags it may be sent under, and what is open
    "one row of apply": 110,
}


def test_a_call_does_not_wander() -> None:
    """The moves between modules of each kind of call are no more than they were; a move is counted, not timed."""
    assert {kind: walk.moves for kind, walk in walks().items() if walk.moves > MOST_MOVES[kind]} == {}
