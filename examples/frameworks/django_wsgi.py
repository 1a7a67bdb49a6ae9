"""A Django site for a WSGI server. Its views are not async, and share the session of the process's thread."""

import logging
import os

import run_actions
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from session_thread import session_thread

logging.basicConfig(level=logging.INFO)
settings.configure(
    SECRET_KEY=os.environ.get("DJANGO_SECRET_KEY", "only-for-this-example"),
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    ROOT_URLCONF=__name__,
    LOGGING_CONFIG=None,
)


@csrf_exempt  # so that curl can call the example: a site has log-ins and CSRF tokens
@require_POST
def act(_request: HttpRequest, ref: str, action: str) -> JsonResponse:
    status, known = session_thread().call(lambda fielding: run_actions.act(fielding, ref, action, timeout=10))
    return JsonResponse(known, status=status)


urlpatterns = [path("runs/<path:ref>/<str:action>", act)]
application = get_wsgi_application()
