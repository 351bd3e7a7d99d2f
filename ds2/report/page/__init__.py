"""The pages: one run, many runs."""
