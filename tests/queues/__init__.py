"""Tests of the adapters for task queues, with workers that run the commands of the documentation."""
