"""Shows that sessions with one pace go on, whatever happens to the Redis or Valkey through which they keep it."""
