"""Send runs to any HTTP server."""
