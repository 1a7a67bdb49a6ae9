"""Spans, metrics and log lines of a call; the one importer of OpenTelemetry and logging.

May be imported by `http`, `engine` and `handles`. Imports `core`.
"""
