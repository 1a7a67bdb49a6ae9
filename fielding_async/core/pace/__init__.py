"""When the next request may be sent, and whose it is: pauses, a configured rate, a learned rate, who waits for whom.

May be imported by `engine`. Imports `core`.
"""
