"""Models that the project makes itself, and what identifies a base model."""
