"""The report of a journal as one HTML page that needs nothing else.

May be imported by `cli.journal` and `cli.apply`. Imports `cli.shared`, `journal`, `core` and the public package.
"""
