"""The tests. They mirror the package folder by folder; what proves something over many folders is in `proofs`."""
