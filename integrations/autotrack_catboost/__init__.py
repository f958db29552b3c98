"""catboost: under construction."""
