"""What the web app is apart from its framework: `webapp.py` serves it with aiohttp, `fastapi_app.py` with FastAPI.

`answers` has the answer to each click, `guard` which requests are served at all: both are pure. `board` is
what the page shows, `service` joins it to the session. `settings` reads the environment and the command line.
"""
