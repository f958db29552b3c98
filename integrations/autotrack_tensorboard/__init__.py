"""Send runs to TensorBoard."""
