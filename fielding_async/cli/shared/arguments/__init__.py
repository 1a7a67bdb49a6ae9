"""Arguments and options that several commands share, and the values read from them.

May be imported by the commands and by `cli.shared.jobs`. Imports `core`.
"""
