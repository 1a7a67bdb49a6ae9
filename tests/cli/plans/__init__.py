"""`fielding plans …` on a real PostgreSQL."""
