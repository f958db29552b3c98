"""The seal: one more identity, for who must reckon with somebody who wants to deceive.

It is BLAKE3-256 over what `strict` covers, values, schema and what stood for missing elements, made from the same
canonical bytes by a second pass over the data: `x1b3:` and 64 hexadecimal digits.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from autotrack.provenance.fingerprint.hasher import digest, sealing
from autotrack.provenance.fingerprint.leaves import parts_digest
from autotrack.provenance.fingerprint.passing_over import Pass
from autotrack.provenance.fingerprint.registry import read
from autotrack.provenance.fingerprint.schema import named, schema_digest
from autotrack.provenance.fingerprint.tables import Identified, Parts, Table

PREFIX: Final = "x1b3:"


def seal(data: Any) -> str | None:
    """The seal of `data`; None where not all of it can be read in a canonical form.

    Raises `ImportError` where the package blake3 is not installed.
    """
    with sealing(), np.errstate(all="ignore"):
        found = _sealed(read(data))
    return None if found is None else PREFIX + found.hex()


def _sealed(found: Table | Parts | Identified | None) -> bytes | None:
    if isinstance(found, Parts):
        inside = {str(name): _sealed(read(part)) for name, part in found.parts.items()}
        whole = {name: part for name, part in inside.items() if part is not None}
        return parts_digest(whole) if len(whole) == len(inside) else None
    if not isinstance(found, Table):
        return None
    done = Pass(found, None, rows=False, keep_rows=False, seconds=None)
    done.run()
    if done.coverage < 1:
        return None
    return digest(b"x1 sealed\0" + done.value(done.column_digests()) + schema_digest(found, named(found)) + done.marks)
