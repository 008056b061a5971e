"""The systems that the paper stands on, each in one readable file, on one data set.

Every system sees the same genes, split and labels; `systems.SYSTEMS` lists them.
"""
