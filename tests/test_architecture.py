"""Imports point one way, nothing heavy is loaded before it is needed, and the README's commands exist."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src" / "wdyn"

# folder or module -> (parts of wdyn it may import, third-party at module level, third-party inside a function)
ALLOWED: dict[str, tuple[set[str], set[str], set[str]]] = {
    "_version": (set(), set(), set()),
    "errors": (set(), set(), set()),
    "places": (set(), set(), set()),
    "scores": (set(), {"numpy"}, set()),
    "intervals": ({"scores"}, {"numpy"}, {"scipy"}),
    "journal": ({"errors"}, {"numpy", "isal"}, set()),
    "record": ({"_version", "errors", "places", "journal"}, {"numpy", "torch", "isal"}, set()),
    "store": ({"_version", "errors", "places", "journal"}, {"numpy", "h5py", "isal"}, set()),
    "analyses": (
        {"errors", "intervals", "places", "scores", "store"},
        {"numpy"},
        {"scipy", "sklearn", "umap", "pandas", "matplotlib"},
    ),
    "replay": ({"errors", "record", "scores", "store"}, {"numpy", "torch"}, set()),
    "tickets": (
        {"errors", "intervals", "journal", "places", "record", "replay", "scores", "store"},
        {"numpy", "torch"},
        {"scipy"},
    ),
    "report": (
        {"_version", "errors", "places", "scores", "store", "analyses"},
        {"numpy", "jinja2", "markupsafe"},
        {"plotly", "matplotlib", "joblib", "threadpoolctl", "scipy"},
    ),
    "plan": ({"errors", "record", "replay"}, set(), set()),
    "demo": ({"places", "record", "report", "tickets"}, {"numpy", "torch", "sklearn"}, set()),
}
HEAVY = {"torch", "umap", "sklearn", "matplotlib", "plotly", "scipy", "numba", "pandas", "jinja2"}


def imports(path: Path) -> list[tuple[str, bool]]:
    """Every imported module and whether the import stands at module level; type-checking imports left out."""
    found: list[tuple[str, bool]] = []

    def visit(node: ast.AST, top: bool) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.Import):
            found.extend((alias.name, top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.append((node.module or "", top))
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, top and not inside)

    visit(ast.parse(path.read_text()), True)
    return found


@pytest.mark.parametrize("path", sorted(SRC.rglob("*.py")), ids=lambda p: p.relative_to(SRC).as_posix())
def test_imports_point_one_way(path: Path) -> None:
    part = path.relative_to(SRC).parts[0].removesuffix(".py")
    if part == "__init__":
        assert {name.split(".")[0] for name, top in imports(path) if top} <= sys.stdlib_module_names | {"wdyn"}
        return
    ours, top_level, nested = ALLOWED[part]
    for name, top in imports(path):
        package, _, rest = name.partition(".")
        if (path.name, name, top) == ("run.py", "wdyn", False):
            continue  # run.replay(step) is found through the front door, which alone knows the rooms further on
        if package == "wdyn":
            target = rest.split(".")[0]
            assert target == part or target in ours, f"{path.name} imports wdyn.{target}"
        elif package not in sys.stdlib_module_names:
            assert package in (top_level if top else top_level | nested), f"{path.name} imports {package}"


def modules_after(code: str) -> set[str]:
    """Top-level packages in memory after the code ran in a fresh interpreter."""
    script = f"{code}\nimport sys; print('\\n'.join(sorted({{m.split('.')[0] for m in sys.modules}})), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stderr.splitlines())


def third_party(modules: set[str]) -> set[str]:
    # names with a leading underscore are the interpreter's own or an editable install's finder
    return {m for m in modules if m not in sys.stdlib_module_names and not m.startswith(("_", "sitecustomize"))}


def test_import_wdyn_loads_the_standard_library_only() -> None:
    plain = modules_after("")
    assert third_party(modules_after("import wdyn") - plain) <= {"wdyn"}


def test_help_loads_click_and_nothing_heavier() -> None:
    plain = modules_after("")
    code = "from wdyn_cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass"
    assert third_party(modules_after(code) - plain) <= {"wdyn", "wdyn_cli", "click"}


def test_recording_never_loads_h5py() -> None:
    assert "h5py" not in modules_after("import wdyn.record.recorder, wdyn.record.schedule")


def test_opening_a_run_loads_nothing_heavy() -> None:
    assert not modules_after("import wdyn.store.reader") & HEAVY


def test_analyses_and_report_need_no_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\nimport wdyn.report.build, wdyn.report.figures\n"
        "from wdyn.analyses import load, names\n[load(n) for n in names()]"
    )
    assert modules_after(code)


def test_readme_names_every_command() -> None:
    from wdyn_cli.main import main

    readme = (ROOT / "README.md").read_text()
    assert set(re.findall(r"wdyn ([a-z]+)", readme)) >= set(main.commands)
