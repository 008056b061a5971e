"""The chapter on the audit of labels and scores."""
