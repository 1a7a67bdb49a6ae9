"""One attempt at a request, over a socket; the one importer of aiohttp's client.

May be imported by `engine`, `session` and the command line. Imports `core` and `telemetry`.
"""
