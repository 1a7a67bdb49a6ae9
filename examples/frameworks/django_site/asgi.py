"""The ASGI application: the session is entered when the server starts, and closed when it stops."""

import os
from typing import Any

from django.core.asgi import get_asgi_application

from fielding_async import FieldingError, FieldingSession

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_site.settings")
django = get_asgi_application()


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":  # Django does not handle the lifespan
        await lifespan(scope, receive, send)
    else:
        await django(scope, receive, send)


async def lifespan(scope: Any, receive: Any, send: Any) -> None:
    await receive()  # "lifespan.startup"
    try:
        fielding = await FieldingSession().__aenter__()
    except FieldingError as error:  # a setting is missing, so the server does not start
        await send({"type": "lifespan.startup.failed", "message": str(error)})
        return
    scope["state"]["fielding"] = fielding  # the server gives each request a copy of this dictionary
    await send({"type": "lifespan.startup.complete"})
    await receive()  # "lifespan.shutdown": all requests were answered or cancelled
    await fielding.aclose(drain=10)  # calls in progress have ten seconds to end
    await send({"type": "lifespan.shutdown.complete"})
