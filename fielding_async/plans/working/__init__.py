"""Working plans off: leases of shards, their journals in PostgreSQL, and the slice of work that one call does.

May be imported by `plans`. Imports `core`, `engine`, `journal`, `batch`, and the values and the database of `plans`.
"""
