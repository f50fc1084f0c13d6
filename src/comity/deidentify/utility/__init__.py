"""What a release is still good for, and the search for the one that keeps it."""
