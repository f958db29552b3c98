"""transformers: under construction."""
