"""The method, a library of its own: arrays in, arrays out. No configuration, no files."""
