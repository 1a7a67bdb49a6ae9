"""Spans, metrics, log lines, trace headers."""
