"""Scores, intervals and tests, and the quality of generated samples."""
