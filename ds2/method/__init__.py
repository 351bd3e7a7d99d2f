"""What ranks samples from scores: numbers in, numbers out; no configuration, no model."""
