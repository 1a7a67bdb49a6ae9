"""One call from its await to its end: turns, permissions, attempts, conflicts; the one importer of backoff.

May be imported by `handles`, `batch` and `session`. Imports `core`, `telemetry` and `http`.
"""
