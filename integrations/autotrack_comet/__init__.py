"""Send runs to Comet."""
