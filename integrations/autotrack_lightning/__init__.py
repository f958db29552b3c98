"""lightning: under construction."""
