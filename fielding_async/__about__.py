"""The version of the package: the one place where it is written."""

__version__ = "0.1.0"

SANDBOX = "fielding-async-sandbox"
"""What a sandbox calls itself, in the `Server` header of every reply: nothing else is taken for one."""
