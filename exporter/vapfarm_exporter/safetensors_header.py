"""Which tensors a safetensors file that ends too early lacks; the library's own message names none."""

import json
from pathlib import Path

_LENGTH_BYTES = 8
_MOST_HEADER_BYTES = 100_000_000


def _data_ends(header: object) -> dict[str, int]:
    """Tensor name -> where its bytes end, counted from the header's end; what is not understood is left out."""
    if not isinstance(header, dict):
        return {}
    offsets = {name: entry.get("data_offsets") for name, entry in header.items() if isinstance(entry, dict)}
    return {name: pair[1] for name, pair in offsets.items() if isinstance(pair, list) and len(pair) == 2}


def cut_tensors(path: Path) -> list[str]:
    """Names of tensors whose bytes lie past the end of the file; none if the header itself cannot be read."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            ends = _data_ends(json.loads(file.read(min(length, _MOST_HEADER_BYTES))))
        available = path.stat().st_size - _LENGTH_BYTES - length
    except (OSError, ValueError):
        return []
    return sorted(name for name, end in ends.items() if isinstance(end, int) and end > available)
