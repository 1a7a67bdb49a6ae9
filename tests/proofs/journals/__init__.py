"""Journals through crashes and many processes, in virtual time."""
