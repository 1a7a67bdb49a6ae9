"""`fielding watch`: shows the runs of a project, and what changes, until it is ended.

May be imported by `cli.app`. Imports `cli.shared`, `core` and the public package.
"""
