"""`fielding batch`."""
