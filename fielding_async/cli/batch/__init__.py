"""`fielding batch`: one bulk job over many target groups.

May be imported by `cli.app`. Imports `cli.shared`, `cli.shared.jobs`, `core` and the public package.
"""
