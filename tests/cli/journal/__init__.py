"""`fielding journal`."""
