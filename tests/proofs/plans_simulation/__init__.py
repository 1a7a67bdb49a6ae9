"""Workers of plans in virtual time, each a process with an event loop of its own: killed, stopped, cut off, asleep.

A database in memory has latencies, partitions, restarts and replies that are lost; the exchange loses replies, and a
colleague writes to the same runs. At the end the exchange's own log says what was applied, by which row, in what order.
"""
