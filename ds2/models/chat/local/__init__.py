"""Chat models run here: by transformers or vLLM."""
