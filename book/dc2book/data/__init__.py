"""The chapter on the data."""
