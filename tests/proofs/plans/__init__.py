"""Plans worked off by processes that are killed, stopped and restarted, beside the exchange's own log of writes."""
