"""Whose trouble the failure of a row is, case by case, and what counts as the same refusal."""

import pytest

from fielding_async.core.conflict.refusal_streak import RefusalStreak
from fielding_async.core.conflict.row_ends import (
    RowEnd,
    RowFacts,
    exchange_answers,
    is_bound_to_fail_again,
    refusal_kind,
    row_end,
)
from fielding_async.core.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    DeadlineExceededError,
    FieldingError,
    InvalidRunStateError,
    JournalError,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    PreconditionFailedError,
    ProtocolError,
    RateLimitError,
    ServerError,
    SessionClosedError,
    SkippedError,
    TransportError,
)
from tests.tools.sessions import run_value

FACTS = RowFacts(sent_under='W/"1"')
FINAL = TransportError("the certificate is not trusted")
FINAL.is_final = True


def unknown(etag: str | None, cause: Exception | None = None) -> OutcomeUnknownError:
    error = OutcomeUnknownError("?", current=None if etag is None else run_value(etag=etag))
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        None,
        BadRequestError("dates", status=400, object="bad_request", method="PUT"),
        NotFoundError("run", status=404, object="not_found", method="POST"),
        NotFoundError("run", status=404, object="not_found", method="GET"),
        InvalidRunStateError("state", status=422, object="invalid_state", method="POST"),
        PreconditionFailedError("moved", status=412),
        unknown('W/"3"'),
        unknown('W/"1"', InvalidRunStateError("state", status=422, object="invalid_state", method="POST")),
        SkippedError("behind", because=FieldingError("one that ended")),
    ],
)
def test_what_ends_a_row(error: Exception | None) -> None:
    """What the exchange says of the row itself, in its own words, and what no GET can tell."""
    assert row_end(error, FACTS) is RowEnd.ENDED


@pytest.mark.parametrize(
    "error",
    [
        TransportError("could not connect"),
        DeadlineExceededError("time ran out"),
        AuthenticationError("401", status=401, object="unauthorized"),
        PermissionDeniedError("403", status=403, object="forbidden"),
        RateLimitError("429", status=429, object="too_many"),
        ServerError("500", status=500, object="internal"),
        APIError("409", status=409, object="conflict"),
        ProtocolError("a redirect"),
        NotFoundError("a page", status=404, method="POST"),
        BadRequestError("a page", status=400, method="POST"),
        InvalidRunStateError("a page", status=422, method="POST"),
        BadRequestError("API version", status=400, object="bad_request", method="GET"),
        unknown(None),
        unknown('W/"1"', ServerError("502", status=502)),
        SessionClosedError("closed"),
        JournalError("full"),
        ValueError("raised by a source of tokens"),
    ],
)
def test_what_leaves_a_row_open(error: Exception) -> None:
    """All else, as it may pass, or is not about the row."""
    assert row_end(error, FACTS) is RowEnd.OPEN


@pytest.mark.parametrize(
    "error",
    [
        FINAL,
        unknown(None, FINAL),
        AuthenticationError("401", status=401),
        PermissionDeniedError("403", status=403, object="forbidden"),
        ConfigurationError("auth: the callable must be async"),
    ],
)
def test_what_is_bound_to_fail_again(error: Exception) -> None:
    """A certificate, a proxy's password, a setting, and a plain token that is refused: waiting is of no use."""
    facts = RowFacts(sent_under='W/"1"', is_plain_token=True)
    assert row_end(error, facts) is RowEnd.BOUND_TO_FAIL_AGAIN


def test_what_the_facts_decide() -> None:
    """A bad row ends, unless it is behind an open one, as does one that is skipped; none ends as a session closes."""
    bad = ConfigurationError("action='paus'")
    skipped = SkippedError("behind", because=bad)
    assert row_end(bad, RowFacts(is_bad=True)) is RowEnd.ENDED
    assert row_end(bad, RowFacts(is_bad=True, is_behind_open=True)) is not RowEnd.ENDED
    assert row_end(skipped, RowFacts(is_behind_open=True)) is RowEnd.OPEN
    assert row_end(unknown('W/"3"'), RowFacts(is_closing=True)) is RowEnd.OPEN
    assert not is_bound_to_fail_again(AuthenticationError("401", status=401), is_plain_token=False)


def test_what_shows_that_the_exchange_can_be_used() -> None:
    """A run, or the exchange's own word that there is none; an error page of the same status is none."""
    assert exchange_answers(None)
    assert exchange_answers(NotFoundError("run", status=404, object="not_found"))
    assert not exchange_answers(NotFoundError("a page", status=404))
    assert not exchange_answers(BadRequestError("API version", status=400, object="bad_request"))


def is_full(streak: RefusalStreak) -> bool:
    return streak.is_full


def test_twenty_rows_with_the_same_refusal_are_a_streak() -> None:
    """Tries of one row count once; another refusal, or a row that is accepted, begins it anew."""
    streak = RefusalStreak()
    page = NotFoundError("a page", status=404)
    assert refusal_kind(page) == refusal_kind(unknown('W/"1"', page)) != refusal_kind(ServerError("500", status=500))
    for number in range(19):
        streak.add(number, page, 0.0)
        streak.add(number, page, 0.0)
    assert not is_full(streak)
    streak.add(19, page, 0.0)
    assert is_full(streak)
    streak.add(20, ServerError("500", status=500), 0.0)
    assert not is_full(streak)
    for number in range(20):
        streak.add(number, page, 0.0)
    streak.clear()
    assert not is_full(streak)


def test_all_rows_of_a_short_plan_are_a_streak() -> None:
    """Two that met the same refusal are enough if there are no more; one if something in between made the answer."""
    page, own = NotFoundError("a page", status=404), ServerError("500", status=500, object="error")
    streak = RefusalStreak()
    streak.add(0, own, 0.0)
    assert not streak.is_of_all(1)
    streak.add(1, own, 0.0)
    assert streak.is_of_all(2)
    assert not streak.is_of_all(3)
    streak.add(2, page, 0.0)
    assert streak.is_of_all(1)
    unknown = OutcomeUnknownError("unknown")
    unknown.__cause__ = page
    streak.clear()
    streak.add(0, unknown, 0.0)
    assert streak.is_of_all(1)


def test_rows_that_a_sleep_ended_together_are_no_streak() -> None:
    """Of rows that ran out of time, those do not count that were under way when a GET last succeeded."""
    streak = RefusalStreak()
    late = DeadlineExceededError("time ran out")
    for number in range(40):
        streak.add(number, late, 10.0)
    assert not is_full(streak)
    streak.answered_at = 100.0
    for number in range(40):
        streak.add(number, late, 99.0)
    assert not is_full(streak)
    for number in range(40, 60):
        streak.add(number, late, 100.0)
    assert is_full(streak)
