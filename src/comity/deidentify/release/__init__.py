"""A candidate release: how it is put together, what leaves with it, what stays."""
