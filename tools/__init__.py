"""What make calls: make the environment, run chapters, stage and check the book."""
