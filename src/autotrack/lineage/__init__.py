"""Where runs, models and data came from, and the descriptions that other tools read.

A `Store` and the id of a run enter; plain data leave: the graph around the run, OpenLineage events, a Croissant
description of a dataset, a model card. Nothing is written, and nothing is said that the record does not hold.
"""

from __future__ import annotations

from autotrack.lineage.graph import Edge, Graph, Node, lineage

__all__ = ["Edge", "Graph", "Node", "lineage"]
