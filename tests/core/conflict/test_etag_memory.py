"""The store of pairs: what a look may bring back, what is past, what is in doubt."""

from fielding_async import RunRef
from fielding_async.core.conflict.etag_memory import ETagMemory
from tests.tools.sessions import REF, run_value

OTHER = RunRef(101, "0" * 26, "2" * 26, "other")


def look(store: ETagMemory, version: int, ref: RunRef = REF) -> None:
    """Let a GET come and go."""
    store.fetch_ended(store.fetch_started(ref), run_value(version=version, etag=f'"{version}"'))


def test_a_get_is_not_stored_over_a_write() -> None:
    """A GET sent before a write began, or before it ended, is not stored; one sent after is."""
    store = ETagMemory(8)
    before = store.fetch_started(REF)
    store.write_started(REF)
    during = store.fetch_started(REF)
    store.write_accepted(REF, run_value(version=1, etag='"1"'), run_value(version=2, etag='"2"'))
    for late in (before, during):
        store.fetch_ended(late, run_value(version=2, etag='"late"'))
    kept = store.get(REF)
    assert kept is not None
    assert kept.etag == '"2"'
    look(store, 3)
    assert getattr(store.get(REF), "etag", None) == '"3"'


def test_a_later_get_wins() -> None:
    """Of two GETs the one sent later is kept, in whatever order they come back."""
    store = ETagMemory(8)
    first, second = store.fetch_started(REF), store.fetch_started(REF)
    store.fetch_ended(second, run_value(version=5, etag='"5"'))
    store.fetch_ended(first, run_value(version=6, etag='"6"'))
    assert getattr(store.get(REF), "etag", None) == '"5"'


def test_what_is_past_stays_past() -> None:
    """An ETag refused, or written under, and a version below what was shown, are known to be past."""
    store = ETagMemory(8)
    look(store, 5)
    base = run_value(version=5, etag='"5"')
    store.write_accepted(REF, base, run_value(version=6, etag='"6"'))
    assert store.is_past(REF, base)
    assert store.is_past(REF, run_value(version=4, etag='"4"'))
    assert not store.is_past(REF, run_value(version=6, etag='"6"'))
    look(store, 4)
    assert getattr(store.get(REF), "etag", None) == '"6"'
    store.retire(REF, run_value(version=6, etag='"6"'))
    assert store.get(REF) is None
    assert not store.is_past(OTHER, base)


def test_a_write_that_may_have_changed_nothing_retires_nothing() -> None:
    """A reply with the ETag that was sent does not say that this ETag is past; one with another ETag does."""
    store = ETagMemory(8)
    base = run_value(version=5, etag='"5"')
    store.write_accepted(REF, base, base)
    assert not store.is_past(REF, base)
    store.write_accepted(REF, base, run_value(version=6, etag='"6"'))
    assert store.is_past(REF, base)


def test_what_a_cache_answered_takes_no_place_of_a_pair() -> None:
    """A run that a cache answered with is remembered where nothing is known, and never in place of what is."""
    store = ETagMemory(8)
    aged, known = run_value(version=5, etag='"5"'), run_value(version=6, etag='"6"')
    store.fetch_ended(store.fetch_started(REF), aged, is_aged=True)
    assert store.get(REF) == aged
    store.fetch_ended(store.fetch_started(REF), known)
    store.fetch_ended(store.fetch_started(REF), run_value(version=7, etag='"7"'), is_aged=True)
    assert store.get(REF) == known


def test_a_doubt_ends_when_its_etag_is_past() -> None:
    """A doubt holds for its ETag until a newer version is seen, a write is accepted, or a 412 shows it past."""
    store = ETagMemory(8)
    five, six = run_value(version=5, etag='"5"'), run_value(version=6, etag='"6"')
    store.doubt(REF, five)
    store.doubt(REF, run_value(version=3, etag='"3"'))
    assert store.in_doubt(REF, '"5"')
    assert store.in_doubt(REF, '"3"')
    look(store, 4)
    assert store.in_doubt(REF, '"5"')
    look(store, 6)
    assert not store.in_doubt(REF, '"5"')
    store.doubt(REF, six)
    store.write_accepted(REF, six, run_value(version=7, etag='"7"'))
    assert not store.in_doubt(REF, '"6"')
    store.doubt(REF, six)
    assert not store.in_doubt(REF, '"6"')
    assert not store.in_doubt(OTHER, '"6"')
    assert not store.in_doubt(REF, None)


def test_forgetting_takes_the_pair_and_outdates_gets() -> None:
    """What is forgotten is looked at afresh, and a GET under way at that moment is not stored."""
    store = ETagMemory(8)
    look(store, 5)
    look(store, 5, OTHER)
    under_way = store.fetch_started(REF)
    store.forget_where(lambda ref: ref == REF)
    store.fetch_ended(under_way, run_value(version=6, etag='"6"'))
    assert store.get(REF) is None
    assert store.get(OTHER) is not None


def test_the_store_is_bounded() -> None:
    """The run used longest ago is dropped first."""
    store = ETagMemory(2)
    refs = [RunRef(1, "0" * 26, "1" * 26, f"r{number}") for number in range(3)]
    look(store, 1, refs[0])
    look(store, 1, refs[1])
    store.get(refs[0])
    look(store, 1, refs[2])
    assert [store.get(ref) is not None for ref in refs] == [True, False, True]
    assert len(store) == 2


def test_a_large_store_drops_some_of_its_oldest_at_once() -> None:
    """It never holds more than its size, nor much less, and what was used lately is among it."""
    store = ETagMemory(1024)
    refs = [RunRef(101, "0" * 26, "1" * 26, f"run{number}") for number in range(5000)]
    for number, ref in enumerate(refs):
        look(store, 1, ref)
        assert store.get(refs[0]) is not None  # used all the time
        assert min(number + 1, 1024 - 4) <= len(store) <= 1024
    assert all(store.get(ref) for ref in refs[-1000:])
    assert store.get(refs[1]) is None
