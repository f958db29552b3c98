"""torch: under construction."""
