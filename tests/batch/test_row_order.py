"""Which runs have failed, kept in little memory."""

from fielding_async import FieldingError
from fielding_async.batch.row_order import FailedRuns, Uint64Set
from tests.tools.fake_exchange import ref_of


def test_keys_are_kept_exactly() -> None:
    """A set of keys holds what was added, also after it has grown, and nothing else."""
    keys = Uint64Set()
    added = [number * 2654435761 % (1 << 64) for number in range(1, 5000)]
    for key in (*added, *added):
        keys.add(key)
    assert len(keys) == len(added)
    assert all(key in keys for key in added)
    assert not any(key + 1 in keys for key in added)


def test_failures_are_remembered_beyond_their_errors() -> None:
    """Of runs that failed long ago only the fact is kept, not the error."""
    failures = FailedRuns()
    errors = [FieldingError(str(number)) for number in range(3000)]
    for number, error in enumerate(errors):
        failures.add(ref_of(number), error)
    failures.add(ref_of(2999), FieldingError("later"))
    assert failures.error_of(ref_of(2999)) is errors[2999]
    assert "too long ago" in str(failures.error_of(ref_of(0)))
    assert failures.error_of(ref_of(3000)) is None
