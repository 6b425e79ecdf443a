"""The page that the README shows: whole, small, asks for nothing, and opens."""

from __future__ import annotations

import re
from pathlib import Path

from tests.report.browser import NEEDS_BROWSER, Open
from wdyn.report.sizes import page_index, page_sizes

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "reports" / "samples" / "lenet-digits.html"
PICTURES = sorted((ROOT / "docs" / "images").glob("*.png"))


def test_the_page_is_whole_and_small_and_asks_for_nothing() -> None:
    page = PAGE.read_bytes()
    assert len(page) <= 4e6
    assert {"umap", "similarity", "similarity_graph", "frame_potential", "norms", "spectrum"} < set(page_sizes(page))
    text = page.decode()
    assert page_index(page)["layers"] == ["fc1", "fc2", "fc3"]
    assert "default-src 'none'" in text
    assert re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=\s*['\"]?+(?!data:)", text) == []


def test_the_readme_shows_pictures_of_it_light_and_dark() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert PAGE.relative_to(ROOT).as_posix() in readme
    for picture in PICTURES:
        assert f"docs/images/{picture.name}" in readme
        assert picture.stat().st_size <= 250_000
    assert len(PICTURES) == len(re.findall(r"docs/images/[\w-]+\.png", readme))


@NEEDS_BROWSER[0]
@NEEDS_BROWSER[1]
def test_the_page_opens(open_page: Open) -> None:
    tab = open_page(PAGE.read_bytes())
    tab.locator("#umap canvas").first.wait_for()
