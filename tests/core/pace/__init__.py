"""The limiter that learns, against servers that count in four ways, in virtual time."""
