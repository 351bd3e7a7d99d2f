"""One small module a strategy."""
