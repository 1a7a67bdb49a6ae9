"""Tests of the values of plans."""
