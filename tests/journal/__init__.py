"""The journal of a batch: its lines, its groups, its file."""
