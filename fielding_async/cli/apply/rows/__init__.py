"""The rows of a plan before anything is sent: checked, with the run of each, and compared with a journal.

May be imported by `cli.apply`. Imports `cli.shared`, `batch`, `journal`, `core` and the public package.
"""
