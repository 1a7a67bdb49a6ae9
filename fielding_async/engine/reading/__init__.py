"""Reads that are more than one request: lists page by page, and the search for runs.

May be imported by `handles` and `session`. Imports `core` and `engine`.
"""
