"""What takes back the rows of a plan, from a journal or from a plan in PostgreSQL.

May be imported by `plans` and `cli`. Imports `journal` and `core`.
"""
