"""Plans in CSV and JSON Lines."""
