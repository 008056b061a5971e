"""Recipes, one fit, many fits, and what is kept of them."""
