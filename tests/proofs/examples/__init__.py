"""The examples are run as a user would: over real sockets, in processes and in a browser."""
