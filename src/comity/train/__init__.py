"""Training: private (noise at one holder), federated, encrypted and homomorphic."""
