"""When the next request may be sent: pauses, a configured rate, a learned rate.

May be imported by `engine`. Imports `core`.
"""
