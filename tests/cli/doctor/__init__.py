"""`fielding doctor`."""
