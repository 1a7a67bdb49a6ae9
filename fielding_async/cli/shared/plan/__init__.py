"""Plans in CSV and JSON Lines: read, checked whole, written.

May be imported by the commands. Imports `core` and `cli.shared`.
"""
