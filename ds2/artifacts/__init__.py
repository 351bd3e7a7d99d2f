"""What stages leave on disk: the store, and a module a noun that alone spells its files, columns and keys."""
