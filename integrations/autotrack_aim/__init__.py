"""Send runs to Aim."""
