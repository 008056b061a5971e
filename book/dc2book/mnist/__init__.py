"""The chapter on handwritten digits."""
