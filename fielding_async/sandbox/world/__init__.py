"""Runs, jobs, tokens and rate limits, and the rules between them. The present time is always an argument.

May be imported by `sandbox`. Imports `sandbox.serving`.
"""
