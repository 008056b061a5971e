"""Does a visualization find what is there?  Methods, pictures and grades against planted rules."""
