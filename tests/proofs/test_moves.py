"""The way of a call through the package stays short: see `benchmarks/moves.py`."""

import pytest

from benchmarks.moves import walks

pytestmark = pytest.mark.once

MOST_MOVES = {
    "a warm pause": 40,
    "a cold update": 94,
    "one 412": 130,
    "one 429": 100,
    "one row of apply": 88,
}


def test_a_call_does_not_wander() -> None:
    """The moves between modules of each kind of call are no more than they were; a move is counted, not timed."""
    assert {kind: walk.moves for kind, walk in walks().items() if walk.moves > MOST_MOVES[kind]} == {}
