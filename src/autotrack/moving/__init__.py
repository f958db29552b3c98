"""Bringing runs of other products in: from an importer's events to journals, verified, each run once.

Events of foreign runs enter (`autotrack.importing`); journals as a training would have written them leave, and a report
of what was carried and what was not. `writing` makes one journal, `bringing` a whole import, `report` says how it went.
"""
