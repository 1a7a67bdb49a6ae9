"""The operations, through the handles that users call."""
