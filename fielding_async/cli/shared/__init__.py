"""What several commands use: options, output, exit statuses, signals, plans, detection of a sandbox.

May be imported by the commands and by `cli.app`. Imports `core` and the public package, and no command.
"""
