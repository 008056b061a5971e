"""The chapter on cell types beside each other."""
