"""Generalisation hierarchies: read, built, suggested, made opaque, checked for completeness."""
