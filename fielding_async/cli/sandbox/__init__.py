"""`fielding sandbox`: serves a sandbox until it is stopped.

May be imported by `cli.app`. Imports `cli.shared`, `sandbox` and `core`.
"""
