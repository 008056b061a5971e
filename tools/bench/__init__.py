"""Each stage of the library against the plain way of doing it, ours and theirs in turn."""
