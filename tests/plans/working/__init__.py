"""Tests of `plans/working`."""
