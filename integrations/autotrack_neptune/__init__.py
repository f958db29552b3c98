"""Send runs to Neptune."""
