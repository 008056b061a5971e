"""Published systems, one readable file each."""
