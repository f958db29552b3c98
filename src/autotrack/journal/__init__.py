"""The journal: an append-only log of events, one per writing process, and the contract between the two sides.

A writer's folder, `<home>/journals/<writer>/`, holds numbered segments (`000001.atj`), the file `alive`, whose lock the
writing process keeps as long as it lives, and, once a dead process had to be spoken for, `closing.atj`. `frames` says
what a segment is made of, `writer` appends, `reader` reads, `liveness` tells the living from the dead, `closing` ends
the runs of a process that is gone. Bytes enter here from `Run`; `Record`s leave to the forwarder.
"""
