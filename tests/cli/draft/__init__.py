"""`fielding draft`."""
