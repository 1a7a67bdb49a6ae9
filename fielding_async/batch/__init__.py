"""Many rows at once: reads the input, keeps the order of each run, performs rows in tasks.

May be imported by `session`. Imports `core`, `engine` and `journal`.
"""
