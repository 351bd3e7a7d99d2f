"""Rating: a pool in, one rating and one score a sample out, through one interface for every rater."""
