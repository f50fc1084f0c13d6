"""Runs architectures on the user's own tables, each party its own process, and measures what comes of it."""
