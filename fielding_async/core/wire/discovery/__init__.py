"""HTTP of discovery as values: filters to queries, pages of JSON to lists of values.

May be imported by all folders above `core`. Imports `core`, `core.discovery` and `core.wire`.
"""
