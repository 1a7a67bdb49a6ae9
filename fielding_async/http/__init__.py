"""One HTTP exchange over a socket; the one importer of aiohttp's client.

May be imported by `engine`. Imports `core` and `telemetry`.
"""
