"""`fielding doctor`: checks settings, network, TLS, token, clock and ETags.

May be imported by `cli.app`. Imports `cli.shared`, `core`, the public package, and `http` for the
proxies of the environment.
"""
