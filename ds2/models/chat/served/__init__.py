"""Chat models behind an API: a server, or a batch interface."""
