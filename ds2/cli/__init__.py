"""The `ds2` command: what it reads from the command line, what it does, what it prints."""
