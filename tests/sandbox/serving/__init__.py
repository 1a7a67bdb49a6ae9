"""Tests of the routes, request forms, replies and trace headers of the sandbox."""
