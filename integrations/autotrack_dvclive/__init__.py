"""Send runs to DVCLive files."""
