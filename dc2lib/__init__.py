"""The library under *DeepChrome 2.0, the book*: histone marks, models, probes, statistics."""

__version__ = "0.1.0"
