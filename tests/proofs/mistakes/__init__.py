"""Mistakes that a new user makes, and what each message says."""
