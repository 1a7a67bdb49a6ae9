"""`fielding journal …`: shows what a journal holds.

May be imported by `cli.app`. Imports `cli.shared`, `journal`, `core` and the public package.
"""
