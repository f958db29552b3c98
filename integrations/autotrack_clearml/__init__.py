"""Send runs to ClearML."""
