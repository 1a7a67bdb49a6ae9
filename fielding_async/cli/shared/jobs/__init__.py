"""Jobs of the exchange on the command line: made once, waited for, shown, and the command that goes on with them.

May be imported by the commands. Imports `cli.shared`, `core` and the public package.
"""
