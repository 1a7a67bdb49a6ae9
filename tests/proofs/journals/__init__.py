"""Journals through crashes and several lives, in virtual time."""
