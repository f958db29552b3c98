"""accelerate: under construction."""
