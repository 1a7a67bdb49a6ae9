"""Runs, jobs, tokens and rate limits, and the rules that change them. The current time is always an argument.

May be imported by `sandbox`. Imports `sandbox.catalog`, `sandbox.serving`, `core.models` and `core.errors`.
"""
