"""Tests of runs, jobs, tokens and rate limits, and of the rules between them."""
