"""The objects whose methods users call: runs, target groups, projects and jobs. Handles check arguments and do no I/O.

May be imported by `session`. Imports `core` and `engine`.
"""
