"""`fielding journal …`: shows what a journal holds, and writes the plan that takes back what it did.

May be imported by `cli.app`. Imports `cli.shared`, `cli.shared.plan`, `journal`, `core` and the public package.
"""
