"""What takes the room of a page, read from the page itself.

A section owns its blocks of numbers, what the index says of its charts, and its tables for readers without scripts. All
blocks are compressed together, so each is taken to have the share that it would have if each were compressed alone;
so is the index.
"""

from __future__ import annotations

import json
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from wdyn.report.codec import unpacked_text

LARGEST = 3
LIBRARY, PAGE = "chart library", "page itself"


def page_sizes(page: bytes) -> Counter[str]:
    """Bytes of each part of a page; they add up to the page.

    Args:
        page: what `render_page` gave.

    Returns:
        Name of a section to its bytes, and those of the chart library and of the page itself: words, style, scripts.
    """
    index = page_index(page)
    words: dict[str, bytes] = {PAGE: _compact({name: value for name, value in index.items() if name != "slots"})}
    raw: dict[str, list[dict[str, Any]]] = {}
    for slot in index["slots"]:
        name = slot["id"].rpartition("-")[0]
        words[name] = words.get(name, b"") + _compact(slot)
        raw.setdefault(name, []).extend(_blocks(slot))
    parts = _shares(words, _element(page, "index"))
    data = unpacked_text(_element(page, "data"))
    numbers = {name: b"".join(_cut(data, ref) for ref in refs) for name, refs in raw.items()}
    parts.update(_shares(numbers, _element(page, "data")))
    for name, html in re.findall(rb'<figure class="[^"]*" id="([^"]+)-\d+">(.*?)</figure>', page, re.DOTALL):
        parts[name.decode()] += len(html)
    parts[LIBRARY] += len(_element(page, "plotly"))
    parts[PAGE] += len(page) - parts.total()
    return parts


def page_index(page: bytes) -> dict[str, Any]:
    """What a page tells its scripts, numbers as references into its blocks."""
    index: dict[str, Any] = json.loads(unpacked_text(_element(page, "index")))
    return index


def size_words(page: bytes) -> str:
    """Size of a page with its largest parts."""
    named = [f"{name} {_words(size)}" for name, size in page_sizes(page).most_common(LARGEST)]
    return f"{_words(len(page))}; largest: {', '.join(named)}"


def _words(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.0f} kB"


def _element(page: bytes, name: str) -> bytes:
    found = re.search(rb'<script type="[a-z/]+" id="%s">(.*?)</script>' % name.encode(), page, re.DOTALL)
    return found[1] if found else b""


def _blocks(described: Any) -> Iterator[dict[str, Any]]:
    if isinstance(described, dict) and {"at", "type", "shape"} <= described.keys():
        yield described
    elif isinstance(described, dict | list):
        for each in described.values() if isinstance(described, dict) else described:
            yield from _blocks(each)


def _compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _shares(owned: dict[str, bytes], text: bytes) -> Counter[str]:
    alone = {name: len(zlib.compress(data, 1)) for name, data in owned.items()}
    share = len(text) / max(sum(alone.values()), 1)
    return Counter({name: int(share * size) for name, size in alone.items()})


def _cut(data: bytes, ref: dict[str, Any]) -> bytes:
    return data[ref["at"] : ref["at"] + int(np.prod(ref["shape"])) * np.dtype(ref["type"]).itemsize]
