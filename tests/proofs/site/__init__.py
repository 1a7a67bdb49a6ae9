"""The built documentation in a real browser: `python -m tests.proofs.site build/docs` (nox runs it after the build)."""
