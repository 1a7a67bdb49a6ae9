"""Tests of databases, over both drivers."""
