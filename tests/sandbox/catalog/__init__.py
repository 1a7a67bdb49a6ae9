"""Accounts, projects and target groups of the sandbox, over HTTP and as values."""
