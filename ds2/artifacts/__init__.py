"""What stages leave on disk: the store, and one module a noun that alone spells its files, columns and keys."""
