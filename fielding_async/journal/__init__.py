"""The durable record of a batch: JSON lines, written in groups, read again after a crash.

May be imported by `batch`, `cli` and the public package. Imports `core`.
"""
