"""The dashboard: the store in a browser. It reads, and changes nothing.

`serving` opens the store and serves `app`: pages from `static/`, JSON below `/api/`, files of runs below `/files/`.
Every request passes `access` first. `watching` takes in what journals hold and tells browsers of it. Nothing here is
imported in a training process.
"""
