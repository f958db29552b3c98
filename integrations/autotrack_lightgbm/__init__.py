"""lightgbm: under construction."""
