"""`fielding plans …`: plans in PostgreSQL, which any number of hosts work off together.

May be imported by `cli.app`. Imports `cli.shared` and its folders, `plans`, `coordination`, `journal`, `core` and the
public package.
"""
