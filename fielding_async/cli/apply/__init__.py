"""`fielding apply PLAN`: applies a plan of many rows with a journal.

May be imported by `cli.app`. Imports `cli.apply.rows`, `cli.shared`, `journal`, `core` and the public package.
"""
