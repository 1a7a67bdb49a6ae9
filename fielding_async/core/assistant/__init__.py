"""The assignment of a Fielding Assistant as values that keep the JSON they were read from.

May be imported by `core.wire`, `core.conflict`, `engine` and `handles`. Imports `core` and `core.discovery`.
"""
