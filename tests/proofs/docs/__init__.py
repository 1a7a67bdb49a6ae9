"""The pages of the documentation and the README, run as they stand."""
