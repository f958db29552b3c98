"""Send runs to trackio."""
