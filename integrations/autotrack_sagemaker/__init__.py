"""Send runs to SageMaker."""
