"""Which levels lose least: distinct tuples, their classes, the lattice, local recoding."""
