"""The SDK and its sandbox against the vendor's published document."""
