"""Plans in PostgreSQL."""
