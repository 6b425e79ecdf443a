"""One Chromium for all tests, and pages in it that may neither complain nor ask for anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.report.browser import CHROMIUM, Open
from tests.report.made_up import STEPS, facts, sections
from wdyn.report.page import render_page

# nothing of the browser's own may reach for a network either
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-quic",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
]

PATIENCE = 120_000  # milliseconds; it ends a wait for what never comes, and is no measure of the page


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install 'wdyn[dev]'")
    with playwright.sync_playwright() as driver:
        playwright.expect.set_options(timeout=PATIENCE)
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS, timeout=PATIENCE)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any, tmp_path: Path) -> Iterator[Open]:
    """Opens a page from disk; at the end there must have been no complaint and no request beyond the file itself."""
    complaints: list[str] = []
    requests: list[str] = []
    contexts = []

    def open_it(html: bytes, *, wait: bool = True, **options: Any) -> Any:
        file = tmp_path / f"page-{len(contexts)}.html"
        file.write_bytes(html)
        context = chromium.new_context(
            **{"viewport": {"width": 1200, "height": 900}, "reduced_motion": "reduce"} | options
        )
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on(
            "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(file.as_uri())
        if wait:
            page.wait_for_selector("html[data-ready]")
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith(("blob:", "data:", "file:"))] == []
    assert len({url.partition("#")[0] for url in requests if url.startswith("file:")}) == len(contexts)


@pytest.fixture(scope="session")
def lenet() -> bytes:
    return render_page(facts(), sections(), STEPS.tolist())
