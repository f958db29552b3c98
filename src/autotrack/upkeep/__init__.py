"""Looking after a home: what may go, whether all is whole, and a copy of it elsewhere.

A home and its settings enter; reports leave, as plain records that the command line prints. `collecting` frees what
nothing needs any more, `retention` what somebody wants gone, `removing` whole runs, `checking` looks whether
everything is what was kept, and `backing_up` and `restoring` take a home elsewhere and bring it back. All of it may
run beside trainings and forwarders.
"""
