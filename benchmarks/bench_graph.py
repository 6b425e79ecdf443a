"""Does the page's similarity graph of 512 neurons move smoothly, and what does it weigh?

    python benchmarks/bench_graph.py [--neurons 512] [--steps 60]

A made-up layer of 784 inputs drifts from random directions to six groups. Headless Chromium, drawing in software, moves
the step slider every fifth frame through all steps, once at the first cutoff and once at the lowest.
Milliseconds by performance.now: the scripts' work in a frame (forces and drawing calls), and from frame to frame, which
holds the drawing itself; 16.7 is the least, 33 the limit at the 95th percentile.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.report.graphs import made_graph
from tests.report.made_up import facts
from wdyn.report.page import render_page
from wdyn.report.sections import Section

DRAG = """async (lowest) => {
    const slider = document.getElementById("step"), cutoff = document.querySelector(".graph-controls input");
    const input = (control, value) => { control.value = value; control.dispatchEvent(new Event("input")) };
    const next = window.requestAnimationFrame.bind(window), work = [], frames = [];
    if (lowest) input(cutoff, 0);
    window.requestAnimationFrame = (callback) => next((time) => {
        const begin = performance.now();
        callback(time);
        work.push(performance.now() - begin);
    });
    let last = await new Promise(next);
    for (let at = 0; at <= Number(slider.max); at++) {
        input(slider, at);
        for (let frame = 0; frame < 5; frame++) {
            await new Promise(next);
            frames.push(performance.now() - last);
            last = performance.now();
        }
    }
    window.requestAnimationFrame = next;
    const quantile = (values, share) => values.sort((a, b) => a - b)[Math.floor(share * (values.length - 1))];
    return [work, frames].flatMap((values) => [0.5, 0.95, 1].map((share) => quantile(values, share)));
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--neurons", type=int, default=512)
    parser.add_argument("--steps", type=int, default=60)
    given = parser.parse_args()
    chart = made_graph(given.neurons, inputs=784, steps=given.steps)
    name, layers = "similarity_graph", {"fc1": (given.neurons, 784)}
    with_graph, without = (
        render_page(facts(layers), [Section(name, "Graph", "", charts=charts)], chart.steps.tolist())
        for charts in ((chart,), ())
    )
    print(f"{len(with_graph) - len(without):,} bytes for {sum(len(each.i) for each in chart.edges):,} edges in all")
    print("cutoff    work: median   95 %   most    frame: median   95 %   most")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        file = Path(folder) / "page.html"
        file.write_bytes(with_graph)
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(file.as_uri())
        page.locator(".graph canvas[aria-busy=false]").scroll_into_view_if_needed()
        for lowest in (False, True):
            a, b, c, d, e, f = page.evaluate(DRAG, lowest)
            print(f"{'lowest' if lowest else 'first':9}{a:13.1f}{b:7.1f}{c:7.1f}{d:16.1f}{e:7.1f}{f:7.1f}")
        browser.close()


if __name__ == "__main__":
    main()
