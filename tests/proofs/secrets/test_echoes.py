"""A token that a server echoes is shown nowhere, wherever it stands and however the text is shortened."""

import logging
from typing import Any

import pytest

from fielding_async import FieldingError, Limits, Retry, Timeout
from fielding_async.session import FieldingSession, session_over
from tests.tools.sessions import REF
from tests.tools.spans import Watched

from .echoes import JWT, PLACES, Echo, Place, assert_not_shown, offsets, texts_of


def _session(echo: Echo, auth: Any = JWT, **arguments: Any) -> FieldingSession:
    arguments.setdefault("limits", Limits(adaptive=False))
    return session_over(
        echo,
        auth=auth,
        base_url="https://fake.invalid/v1",
        retry=Retry(max_attempts=1, base=0.0),
        timeout=Timeout(total=5, attempt=5),
        **arguments,
    )


async def _shown_by(fielding: FieldingSession, place: Place) -> str:
    """Return all that the call shows."""
    run = fielding.run(REF)
    try:
        value = await place.make(fielding, run)
    except FieldingError as error:
        return texts_of(error)
    return repr(value) + str(getattr(value, "etag", "")) + str(getattr(value, "job_id", ""))


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
async def test_an_echoed_token_is_shown_nowhere(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """A token in any place of a reply, whole or across the limit of a text, is in no error, value, log line or span."""
    caplog.set_level(logging.DEBUG)
    watched = Watched()
    echo = Echo()
    for offset in offsets():
        async with _session(echo, **watched.providers) as fielding:
            echo.operation, echo.answer = place.operation, place.answer("x" * offset + JWT)
            assert_not_shown(await _shown_by(fielding, place))
    assert_not_shown("\n".join([caplog.text, *(span.to_json() for span in watched.spans())]))
