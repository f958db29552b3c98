"""Asking the store questions: a small language, compiled to SQL with bound parameters alone. `docs/query.md` has it.

    status = finished and metrics.val_loss.min < 0.3 and params.lr >= 1e-3

A text is cut into `words`, `parsing` makes a tree of them with the `fields` and `literals` that are known, `conditions`
a condition of SQL, the same on SQLite and PostgreSQL, and `finding` asks it. Nothing of the text ever becomes SQL.
"""
