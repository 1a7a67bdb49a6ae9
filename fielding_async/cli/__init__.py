"""The command line. click and rich are imported in this folder only; they come with the extra `cli`."""
