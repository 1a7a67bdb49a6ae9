"""What several commands use: options, output, exit status, signals, plans.

May be imported by the commands and by `cli.app`. Imports `core` and the public package.
"""
