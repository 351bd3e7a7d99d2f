"""Score curation: estimate how a rater errs, and correct its scores, without ground truth."""
