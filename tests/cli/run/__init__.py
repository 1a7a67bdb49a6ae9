"""`fielding run`."""
