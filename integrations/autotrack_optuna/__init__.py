"""optuna: under construction."""
