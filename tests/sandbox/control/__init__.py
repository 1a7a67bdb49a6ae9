"""Tests of the control door."""
