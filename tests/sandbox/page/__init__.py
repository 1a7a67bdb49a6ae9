"""Tests of the page of a sandbox."""
