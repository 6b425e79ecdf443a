"""Pictures of a page for the README, light and dark: python docs/images/make.py PAGE.html."""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).parent
MOST_BYTES = 250_000
# name of a picture: what stands at its top, its height, the neuron that is picked in it
VIEWS = {"summary": ("top", 1000, ""), "graph": ("similarity_graph", 800, ""), "neuron": ("umap", 1000, "12")}


def main() -> None:
    """Write `<view>-light.png` and `<view>-dark.png` beside this script."""
    page = Path(sys.argv[1]).resolve()
    with sync_playwright() as driver:
        program = shutil.which("chromium") or shutil.which("google-chrome")
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        for theme in ("light", "dark"):
            tab = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme=theme, reduced_motion="reduce")
            tab.goto(page.as_uri())
            tab.wait_for_selector("html[data-ready]")
            for view, (top, height, neuron) in VIEWS.items():
                (HERE / f"{view}-{theme}.png").write_bytes(small(shot(tab, top, height, neuron)))
        browser.close()


def shot(tab: Page, top: str, height: int, neuron: str) -> bytes:
    """The window with an element at its top and a neuron picked, or none."""
    tab.set_viewport_size({"width": 1280, "height": height})
    tab.fill("#neuron", neuron)
    tab.locator("#neuron").blur()
    tab.locator(f"#{top}").evaluate("(element) => element.scrollIntoView()")
    tab.wait_for_timeout(4000)  # the chart library comes last, the forces of a graph take their time
    return tab.screenshot()


def small(png: bytes) -> bytes:
    """The same picture, of 256 colours where it would be larger than we allow ourselves."""
    target = io.BytesIO()
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.save(target, format="png", optimize=True)
    if target.tell() > MOST_BYTES:
        target = io.BytesIO()
        picture.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(
            target, format="png", optimize=True
        )
    return target.getvalue()


if __name__ == "__main__":
    main()
