"""The report of a journal as an HTML page."""
