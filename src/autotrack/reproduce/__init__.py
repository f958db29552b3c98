"""Running a recorded run again, from its record alone, and saying how the outcome compares.

A run's record, its blobs and a new folder enter; a verdict and the first suspect leave. The steps, each a file: what
was recorded (`recorded`), code and data into the folder (`restoring`), the environment (`environments`), the command
(`command`), the process (`rerun`), then the comparison (`curves`, `weighing`) and what may explain it (`suspects`).
`steps` goes through them in this order. What happens inside the process that runs again is in `provenance.expecting`.
"""

from __future__ import annotations
