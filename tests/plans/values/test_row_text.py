"""What is stored of a row, and the shard of a run: the same in each process."""

import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime

import pytest

from fielding_async import RunRef, Update
from fielding_async.core.actions import Action
from fielding_async.plans.values.row_text import (
    MOST_SHARDS,
    action_text,
    asked_for,
    read_action_text,
    shard_count,
    shard_of,
)
from tests.plans.rows import refs
from tests.tools.sessions import ACTION_IDS, ACTIONS, REF

START = datetime(2031, 5, 17, 12, 30, 15, 123456, tzinfo=UTC)


@pytest.mark.parametrize("action", [action for action, _ in ACTIONS], ids=ACTION_IDS)
def test_each_action_is_read_back_as_it_was_stored(action: Action) -> None:
    """The text is an action's name, or for an update JSON."""
    assert read_action_text(action_text(action)) == action


@pytest.mark.parametrize("dates", [(START, None), (None, START), (START, START.replace(year=2032))])
def test_an_update_keeps_which_dates_it_names(dates: tuple[datetime | None, datetime | None]) -> None:
    """A bound that is not named stays so."""
    action = Update(start_fielding_at=dates[0], end_fielding_at=dates[1])
    assert read_action_text(action_text(action)) == action


@pytest.mark.parametrize("text", ["stop", "[]", '["pause",null,null]', '["update",null,null]', "["])
def test_a_text_that_is_no_action_is_an_error(text: str) -> None:
    """A row that somebody changed by hand is not performed as something else."""
    with pytest.raises((ValueError, KeyError, TypeError)):
        read_action_text(text)


def test_what_a_row_asks_for_is_written_as_copy_reads_it() -> None:
    r"""A backslash in an ETag is doubled, no ETag is `\N`, and an ETag of these two characters is another row."""
    pause = ACTIONS[1][0]
    assert asked_for(REF, pause, None) == f"101\t{'0' * 26}\t{'1' * 26}\trun\tpause\t\\N\n"
    assert asked_for(REF, pause, '"a\\b"').endswith('\t"a\\\\b"\n')
    assert asked_for(REF, pause, "\\N").endswith("\t\\\\N\n")


def test_runs_are_spread_over_all_shards() -> None:
    """Each shard gets about as many runs as any other."""
    counts = Counter(shard_of(ref, MOST_SHARDS) for ref in refs(12_800))
    assert len(counts) == MOST_SHARDS
    assert max(counts.values()) < 160


def test_the_shard_of_a_run_is_the_same_in_each_process() -> None:
    """It does not depend on the seed of Python's hashes."""
    some = list(refs(50))
    code = (
        "from fielding_async.plans.values.row_text import shard_of; from tests.plans.rows import refs;"
        "print([shard_of(ref, 128) for ref in refs(50)])"
    )
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert shown.strip() == str([shard_of(ref, 128) for ref in some])
    assert shard_of(RunRef(101, "0" * 26, "1" * 26, "run"), 128) == 13


@pytest.mark.parametrize(("rows", "shards"), [(0, 1), (1, 1), (31, 1), (32, 2), (2048, 128), (1_000_000, 128)])
def test_a_small_plan_has_few_shards(rows: int, shards: int) -> None:
    """Fewer than 16 rows in a shard would have no commit in common."""
    assert shard_count(rows) == shards
