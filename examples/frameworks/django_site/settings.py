"""The settings that the example needs. A site has more."""

import os

SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY", "only-for-this-example")
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "django_site.urls"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    # the loggers of the outcomes, and of writes whose callers were cancelled
    "loggers": {name: {"handlers": ["console"], "level": "INFO"} for name in ("runs", "fielding_async")},
}
