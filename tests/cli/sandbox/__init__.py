"""`fielding sandbox`."""
