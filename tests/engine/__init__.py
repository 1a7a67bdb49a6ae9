"""One call: turns, permissions, attempts, conflicts, lost replies, tokens."""
