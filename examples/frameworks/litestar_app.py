"""A Litestar application that pauses and resumes fielding runs, with one session in each worker process."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import run_actions
from litestar import Litestar, Response, post
from litestar.datastructures import State
from litestar.params import FromPath

from fielding_async import FieldingSession

logging.basicConfig(level=logging.INFO)


@asynccontextmanager
async def fielding_session(app: Litestar) -> AsyncIterator[None]:
    async with FieldingSession() as fielding:  # raises if a setting is missing, so the server does not start
        app.state.fielding = fielding
        yield
        await fielding.aclose(drain=10)  # writes of cancelled requests have ten seconds to end


@post("/runs/{account:str}/{project:str}/{group:str}/{run:str}/{action:str}")
async def act(
    state: State,
    account: FromPath[str],
    project: FromPath[str],
    group: FromPath[str],
    run: FromPath[str],
    action: FromPath[str],
) -> Response[dict[str, Any]]:
    ref = f"{account}/{project}/{group}/{run}"
    status, known = await run_actions.act(state.fielding, ref, action, timeout=10)
    return Response(known, status_code=status)


app = Litestar([act], lifespan=[fielding_session], logging_config=None)
