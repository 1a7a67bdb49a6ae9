"""The catalogue of errors in the documentation: each message of the package, with cause and remedy."""
