"""Send runs to W&B."""
