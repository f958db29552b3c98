"""The dashboard: the store in a browser. It reads, and changes nothing."""
