"""`fielding run`: reads one run, or acts on it.

May be imported by `cli.app`. Imports `cli.shared`, `core` and the public package.
"""
