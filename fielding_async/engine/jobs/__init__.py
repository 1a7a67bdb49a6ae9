"""Calls of draft jobs and bulk jobs: a job is made once, and polled until it ends.

May be imported by `handles`. Imports `core`, `telemetry` and `engine`.
"""
