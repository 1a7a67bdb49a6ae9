"""Broken HTTP at every stage, over real sockets."""
