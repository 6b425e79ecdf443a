"""What all tests share: their order, and what a skip means where nothing may be skipped."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator

if "PYTEST_XDIST_WORKER" in os.environ:  # several processes at work: more threads than cores only wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

if "PYTEST_XDIST_WORKER" not in os.environ:  # what takes long to simulate is kept for this session's processes alone
    _kept = tempfile.TemporaryDirectory(prefix="wdyn-tests-")
    os.environ["WDYN_CACHE"] = _kept.name
# a shell's background job is deaf to Ctrl-C, and so would be all that is started here, also what tests interrupt
signal.signal(signal.SIGINT, signal.default_int_handler)
# seconds say how busy the machine is, not whether the code is right
settings.register_profile("wdyn", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("wdyn")
REQUIRE_ALL = os.environ.get("WDYN_REQUIRE_ALL") == "1"


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast tests first, browser tests last; otherwise the order of the files."""
    items.sort(key=lambda item: ("slow" in item.keywords) + 2 * ("browser" in item.keywords))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    return _no_skip(report) if REQUIRE_ALL else report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    report = yield
    return _no_skip(report) if REQUIRE_ALL else report


def _no_skip(report: pytest.TestReport | pytest.CollectReport) -> pytest.TestReport | pytest.CollectReport:
    """A missing package or program skips a test on a user's machine and fails it where all must run."""
    if report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped although WDYN_REQUIRE_ALL=1: {report.longrepr}"
    return report
