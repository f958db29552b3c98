"""The environment of a run: what is installed, as a `pylock.toml` in the blobs, and the machine that it ran on.

`installed` reads what is there, `lock` writes it in the standard form; `hardware`, `libraries`, `container` and
`variables` look at the rest. Nothing is imported, started or initialised to find out. `witness` takes it once a
process, in a thread.
"""
