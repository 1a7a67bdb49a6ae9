"""Tests of discovery as values: filters, pages, bodies."""
