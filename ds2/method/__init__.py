"""The method: arrays in, arrays out; no configuration, no files."""
