"""How large is a page, how soon is it alive, and how long does a frame take while the slider moves?

    python benchmarks/bench_page.py [--layers 50] [--neurons 200] [--steps 60] [--lenet] [--folder DIR]

Two made-up runs, LeNet-300-100 of MNIST and a deep network, whose rows drift from random directions towards a few
common ones; every analysis that a plain `wdyn analyze` makes. Prints size and largest sections, seconds and peak memory
of the analyses with the page, and, where chromium and playwright are there, what a reader waits for: milliseconds until
the slider is alive, and the median and 95th percentile of the time between frames while it moves to the next shown step
in each of them: with each kind of picture in the middle of the screen, and there with a picked neuron's card, too.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from wdyn.report.sizes import size_words

LENET = {"fc1": (300, 784), "fc2": (100, 300), "fc3": (10, 100)}
BUILD = """
import json, resource, sys, time
from wdyn.report.build import build_report
begin = time.perf_counter()
build_report(sys.argv[1], out=sys.argv[2])
print(json.dumps([time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3]))
"""
MOVE = """async () => {
  const slider = document.getElementById("step"), times = [];
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  await frame();
  let before = await frame();
  for (let round = 0; round < 3; round++) {
    for (let at = 0; at <= Number(slider.max); at++) {
      slider.value = at;
      slider.dispatchEvent(new Event("input"));
      const now = await frame();
      times.push(now - before);
      before = now;
    }
  }
  return times;
}"""
PICTURES = (
    "points",
    "matrix",
    "graph",
    "images",
    "heat",
    "lines",
    "lifelines",
    "curves",
)  # the first of each on the page


def record(path: Path, layers: dict[str, tuple[int, int]], steps: int) -> None:
    """A packed run of such layers whose rows gather around a twentieth as many directions."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests.make_run import make_run

    rng, history = np.random.default_rng(0), {}
    start = {name: rng.normal(size=shape).astype("f4") / shape[1] ** 0.5 for name, shape in layers.items()}
    goals = {name: 2 * rows[rng.integers(0, max(len(rows) // 20, 1), len(rows))] for name, rows in start.items()}
    for step in range(steps):
        share = np.float32(step / max(steps - 1, 1)) * 0.8
        history[step] = {f"{name}.weight": (1 - share) * start[name] + share * goals[name] for name in layers}
    make_run(path, history, metrics={"loss": {step: 2.3 / (1 + step) for step in range(1, steps)}})


def measure(label: str, layers: dict[str, tuple[int, int]], steps: int, folder: Path) -> None:
    """One row of figures."""
    run, page = folder / f"{label}.h5", folder / f"{label}.html"
    record(run, layers, steps)
    fresh = {**os.environ, "WDYN_CACHE": str(folder / f"{label}-cache")}  # embeddings are made anew
    done = subprocess.run(
        [sys.executable, "-c", BUILD, run, page], check=True, stdout=subprocess.PIPE, text=True, env=fresh
    )
    seconds, memory = json.loads(done.stdout)
    neurons = sum(rows for rows, _ in layers.values())
    print(f"{label}: {len(layers)} layers, {neurons:,} neurons, {steps} steps")
    print(f"  {size_words(page.read_bytes())}")
    print(f"  analyses and page {seconds:.0f} s, {memory:,.0f} MB at most")
    for line in in_browser(page):
        print(f"  {line}", flush=True)


def in_browser(page: Path) -> Iterator[str]:
    """Milliseconds until the slider is alive, and of a frame while it moves."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        program = None
    if program is None:
        yield "no browser: needs chromium on the PATH and pip install 'wdyn[dev]'"
        return
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        tab.goto(page.as_uri())
        yield f"slider alive after {tab.wait_for_selector('html[data-ready]').get_attribute('data-ready')} ms"
        tab.wait_for_timeout(3000)  # the chart library comes after the slider
        for kind in PICTURES:
            if not (figure := tab.locator(f"figure.{kind}").first).count():
                continue
            figure.evaluate("(figure) => figure.scrollIntoView({block: 'center'})")
            words = []
            for neuron in ("", "1"):
                tab.fill("#neuron", neuron)
                tab.wait_for_timeout(500)
                tab.evaluate(MOVE)  # what is drawn for the first time takes longer, once
                words.append(
                    "{:.0f} ms, 95th percentile {:.0f} ms".format(*np.quantile(tab.evaluate(MOVE), (0.5, 0.95)))
                )
            yield f"{kind:10} a frame {words[0]}; with the card {words[1]}"
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=50)
    parser.add_argument("--neurons", type=int, default=200)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--lenet", action="store_true", help="LeNet-300-100 alone")
    parser.add_argument("--folder", type=Path, help="where run and page stay")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = args.folder or Path(place)
        folder.mkdir(parents=True, exist_ok=True)
        measure("lenet", LENET, args.steps, folder)
        if not args.lenet:
            layers = {f"layers.{i}": (args.neurons, args.neurons) for i in range(args.layers)}
            measure("deep", layers, args.steps, folder)


if __name__ == "__main__":
    main()
