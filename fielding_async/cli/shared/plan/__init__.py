"""Plans of many rows, in CSV or JSON Lines: reading, checking and writing them.

May be imported by the commands. Imports `core` and `cli.shared`.
"""
