"""The registry of models: names, versions and aliases, as views of a log that is only ever appended to."""
