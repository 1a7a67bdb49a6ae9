"""`fielding list …`: shows accounts, projects, target groups and runs, or writes a plan for the runs found.

May be imported by `cli.app`. Imports `cli.shared`, `cli.shared.plan`, `core` and the public package.
"""
