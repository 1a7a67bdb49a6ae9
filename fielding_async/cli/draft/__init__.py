"""`fielding draft`: launches or schedules a draft target group.

May be imported by `cli.app`. Imports `cli.shared`, `cli.shared.jobs`, `core` and the public package.
"""
