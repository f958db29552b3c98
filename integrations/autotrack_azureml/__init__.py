"""Send runs to Azure ML."""
