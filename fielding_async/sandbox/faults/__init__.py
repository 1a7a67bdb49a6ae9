"""The faults that can be scripted, what each may be, and which request meets which.

May be imported by `sandbox` and its `control`. Imports `core`, `sandbox/serving` and `sandbox/world`.
"""
