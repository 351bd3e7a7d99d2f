"""One module a stage: typed inputs, one call, one artifact."""
