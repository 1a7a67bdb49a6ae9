"""One HTTP exchange, over real sockets."""
