"""HTTP as values."""
