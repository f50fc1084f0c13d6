"""Keys, signatures, canonical form and everything else that needs secrets or randomness from the OS."""
