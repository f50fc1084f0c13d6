"""Somebody else's program beside the data: jobs, what they are run on, and what may leave of them."""
