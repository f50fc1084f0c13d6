"""Column tools: scrub, mask, pseudonymise, perturb, microaggregate, enrich."""
