"""The way of a call through the package stays short: see `benchmarks/moves.py`."""

import pytest

from benchmarks.moves import walks

pytestmark = pytest.mark.once

MOST_MOVES = {
    "a warm pause": 46,  # six of them take secrets out: of the reply, and of what frames hold
    "a cold update": 106,
    "one 412": 146,
    "one 429": 110,
    "one row of apply": 94,
}


def test_a_call_does_not_wander() -> None:
    """The moves between modules of each kind of call are no more than they were; a move is counted, not timed."""
    assert {kind: walk.moves for kind, walk in walks().items() if walk.moves > MOST_MOVES[kind]} == {}
