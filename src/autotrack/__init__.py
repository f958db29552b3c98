"""autotrack: instrument once, send anywhere.

This release holds the journal alone: settings, events, the append-only log and its reader.
"""

__version__ = "0.1.0.dev0"
