"""Reads what is on record of a plan: its rows, a report, and the plan that takes it back.

May be imported by `plans`. Imports `plans.values`, `plans.database`, `journal`, `journal.undo` and `core`.
"""
