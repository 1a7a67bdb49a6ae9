"""`fielding apply`."""
