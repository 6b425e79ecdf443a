"""What takes the room of a page, read from the page itself.

A section owns its blocks of numbers, what the index says of its charts, and its tables for readers without scripts. All
blocks are compressed together, so each is taken to have the share that it would have if each were compressed alone.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

LARGEST = 3
LIBRARY, PAGE = "chart library", "page itself"


def page_sizes(page: bytes) -> Counter[str]:
    """Bytes of each part of a page; they add up to the page.

    Args:
        page: what `render_page` gave.

    Returns:
        Name of a section to its bytes, and those of the chart library and of the page itself: words, style, scripts.
    """
    index_text = _element(page, "index")
    index = json.loads(index_text)
    parts: Counter[str] = Counter()
    raw: dict[str, list[dict[str, Any]]] = {}
    for name, described in _owners(index):
        parts[name] += len(json.dumps(described, separators=(",", ":")))
        raw.setdefault(name, []).extend(_blocks(described))
    for name, html in re.findall(rb'<figure class="[^"]*" id="([^"]+)-\d+">(.*?)</figure>', page, re.DOTALL):
        parts[name.decode()] += len(html)
    parts.update(_shares(raw, _element(page, "data")))
    parts[LIBRARY] += len(_element(page, "plotly"))
    parts[PAGE] += len(page) - parts.total()
    return parts


def size_words(page: bytes) -> str:
    """Size of a page with its largest parts."""
    named = [f"{name} {_words(size)}" for name, size in page_sizes(page).most_common(LARGEST)]
    return f"{_words(len(page))}; largest: {', '.join(named)}"


def _words(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.0f} kB"


def _element(page: bytes, name: str) -> bytes:
    found = re.search(rb'<script type="[a-z/]+" id="%s">(.*?)</script>' % name.encode(), page, re.DOTALL)
    return found[1] if found else b""


def _owners(index: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What the index describes, with the section it belongs to, or its own name where it belongs to none."""
    for slot in index["slots"]:
        yield slot["id"].rpartition("-")[0], slot
    for name, described in index.items():
        if name != "slots" and any(True for _ in _blocks(described)):
            yield name, described


def _blocks(described: Any) -> Iterator[dict[str, Any]]:
    if isinstance(described, dict) and {"at", "type", "shape"} <= described.keys():
        yield described
    elif isinstance(described, dict | list):
        for each in described.values() if isinstance(described, dict) else described:
            yield from _blocks(each)


def _shares(owned: dict[str, list[dict[str, Any]]], text: bytes) -> Counter[str]:
    data = gzip.decompress(base64.b64decode(text)) if text else b""
    alone = {name: len(zlib.compress(b"".join(_cut(data, ref) for ref in refs), 1)) for name, refs in owned.items()}
    share = len(text) / max(sum(alone.values()), 1)
    return Counter({name: int(share * size) for name, size in alone.items()})


def _cut(data: bytes, ref: dict[str, Any]) -> bytes:
    return data[ref["at"] : ref["at"] + int(np.prod(ref["shape"])) * np.dtype(ref["type"]).itemsize]
