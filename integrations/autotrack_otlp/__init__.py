"""Send runs to OpenTelemetry."""
