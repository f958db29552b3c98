"""Right of the journal: delivering events to backends, in a process of its own.

Journals enter; batches of records leave to each backend at that backend's own pace. `start` is the trainer's side,
`process` the forwarder itself, `delivery` the way from one journal to one backend, `progress` what is remembered of it,
`adapt` what is changed to fit a backend's limits, `prepare` turns snapshots of models into safe formats, `catching_up`
delivers what no forwarder has.
"""
