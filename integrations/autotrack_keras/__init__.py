"""keras: under construction."""
