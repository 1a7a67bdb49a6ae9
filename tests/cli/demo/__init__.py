"""`fielding demo`."""
