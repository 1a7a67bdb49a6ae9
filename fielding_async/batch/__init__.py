"""Many rows at once: reads the input, keeps the order of each run, performs each row in a task.

May be imported by `session` and `cli.apply.rows`. Imports `core`, `engine` and `journal`.
"""
