"""Provenance: what a run was made from, described without changing it.

Users' objects enter; plain, frozen descriptions leave: flat params with secrets masked, and what later rooms add.
"""
