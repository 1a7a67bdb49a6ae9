"""The judgement, and the memory of runs."""
