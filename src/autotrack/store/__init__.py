"""The store: the embedded local backend, on SQLite or PostgreSQL, and the reading side of it.

Batches of journal records enter through `backend` and are written by `ingest` with the journal's cursor in one
transaction; runs and series leave through `query`. `schema` and `series` are a public format, described in
`docs/store.md`. Nothing else writes here.
"""
