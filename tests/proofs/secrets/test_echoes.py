"""A token that a server echoes is shown nowhere, wherever it stands and however the text is shortened."""

import logging
from typing import Any

import pytest

from fielding_async import ClientCredentials, FieldingError, Limits, Retry, Timeout
from fielding_async.core.wire.replies import Lost, Response
from fielding_async.session import FieldingSession, session_over
from tests.tools.sessions import REF
from tests.tools.spans import Watched

from .echoes import JWT, PLACES, Answer, Echo, Place, assert_not_shown, json_reply, offsets, texts_of, token_error


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


SECRET = "k9Zt" + JWT[200:260] + "q7"
TOKEN_PLACES: dict[str, Answer] = {
    "error": token_error(error=...),
    "description": token_error(error="invalid_client", error_description=...),
    "text": lambda text: Response(401, {}, text.encode()),
    "text with status 200": lambda text: Response(200, {}, text.encode()),
    "token": lambda text: json_reply(200, {"access_token": f"{text} "}),
    "end": lambda text: json_reply(200, {"access_token": text, "expires_in": text}),
    "redirect": lambda text: Response(302, {"Location": text}),
    "server error": token_error(error=...),
    "reason": lambda text: Lost(text[:200]),
}


@pytest.mark.parametrize("place", TOKEN_PLACES)
async def test_a_client_secret_that_the_token_endpoint_echoes_is_shown_nowhere(
    place: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A client secret in a reply of the token endpoint, whole or cut, is in no error, log line or span."""
    caplog.set_level(logging.DEBUG)
    watched = Watched()
    for left in (0, 11, 12, 13, 40, len(SECRET) - 2, len(SECRET)):
        for limit in (left, 100, 200):
            echo = Echo()
            echo.operation, echo.answer = "token", TOKEN_PLACES[place]("x" * (limit - left) + SECRET)
            async with _session(echo, ClientCredentials("client", SECRET), **watched.providers) as fielding:
                with pytest.raises(FieldingError) as caught:
                    await fielding.run(REF).get()
            assert_not_shown(texts_of(caught.value), SECRET)
    assert_not_shown("\n".join([caplog.text, *(span.to_json() for span in watched.spans())]), SECRET)


async def test_a_token_endpoint_may_return_the_same_token_again() -> None:
    """A token that is returned a second time is used as it is: it is no echo."""
    echo = Echo()
    async with _session(echo, ClientCredentials("client", SECRET)) as fielding:
        await fielding.run(REF).get()
        echo.operation, echo.answer = "get", json_reply(401, {"detail": JWT})
        with pytest.raises(FieldingError):
            await fielding.run(REF).get()
        echo.operation = ""
        await fielding.run(REF).get()
        token = fielding.engine().keeper.usable()
    assert token is not None
    assert str(token.value) == JWT
