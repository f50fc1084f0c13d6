"""Privacy models, and the check of each that is independent of the search."""
