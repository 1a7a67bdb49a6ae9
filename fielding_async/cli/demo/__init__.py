"""`fielding demo`: shows the SDK at work against a sandbox, and checks what the sandbox recorded.

May be imported by `cli.app`. Imports `cli.shared`, `sandbox`, `core` and the public package.
"""
