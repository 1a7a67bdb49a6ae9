"""An async view. It uses the session that the ASGI application has entered on the same event loop."""

import run_actions
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST


@csrf_exempt  # so that curl can call the example: a site has log-ins and CSRF tokens
@require_POST
async def act(request: HttpRequest, ref: str, action: str) -> JsonResponse:
    fielding = request.scope["state"]["fielding"]
    status, known = await run_actions.act(fielding, ref, action, timeout=10)
    return JsonResponse(known, status=status)
