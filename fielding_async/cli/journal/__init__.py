"""`fielding journal`: what a journal says of its rows, and the plan that takes back what it did.

May be imported by `cli.app`. Imports the public package, `core`, `journal`, `cli.shared` and `cli.shared.plan`.
"""
