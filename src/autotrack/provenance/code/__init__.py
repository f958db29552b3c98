"""The code capsule: what is needed to have the sources of a run again where their folder is gone.

In a git checkout it is a snapshot of the work tree, under a ref of our own and as a self-contained bundle in the blobs
(`git`, `snapshot`); elsewhere an archive of the project's files that were imported (`imported`). What is a secret or
huge stays out of both and is listed (`sifting`). `witness` takes it once a process, in a thread; `restore` gives it
back.
"""
