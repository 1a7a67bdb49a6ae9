"""The values of discovery: accounts, projects, target groups, their changes, and runs that were found.

May be imported by `core.assistant`, `core.wire` and all folders above `core`. Imports `core`.
"""
