"""The README's code runs as it stands, and the demo and the examples do what they say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import wdyn

ROOT = Path(__file__).parents[1]


def blocks(name: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(), re.DOTALL)


def run(folder: Path, *words: str) -> str:
    done = subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    return done.stdout


def the_run(folder: Path) -> Path:
    (path,) = folder.glob("checkpoints/*.h5")
    return path


@pytest.mark.slow
def test_the_one_added_line_records_every_step_and_the_python_examples_work_on_it(tmp_path: Path) -> None:
    training, reading, replaying = blocks("README.md")
    (tmp_path / "train.py").write_text(training)
    run(tmp_path, "train.py")
    path = the_run(tmp_path)
    assert re.fullmatch(r"Sequential-\d{8}-\d{6}\.h5", path.name)
    with wdyn.open_run(path) as recorded:
        assert recorded.condition == "finished"
        assert recorded.steps.tolist() == list(range(101))
        assert list(recorded.layers) == ["0", "2"]
        assert len(recorded.metrics["train_loss"].values) == 100
    data = "import torch\nimages, labels = torch.randn(20, 4), torch.randint(2, (20,))\n"
    script = reading + data + replaying
    adapted = script.replace("checkpoints/mnist.h5", str(path)).replace('"fc1", 400', '"0", 40').replace("400", "40")
    (tmp_path / "read.py").write_text(adapted)
    run(tmp_path, "read.py")


@pytest.mark.slow
def test_contributings_analysis_is_complete(tmp_path: Path) -> None:
    (source,) = blocks("CONTRIBUTING.md")
    (tmp_path / "sparsity.py").write_text(source)
    script = (
        "import numpy as np, sparsity\nfrom tests.make_run import make_run\nfrom pathlib import Path\nimport wdyn\n"
        "path = make_run(Path('a.h5'), {0: {'f.weight': np.eye(4, dtype='f4')}})\n"
        "result = sparsity.ANALYSIS.compute(wdyn.open_run(path))\n"
        "assert result.zeros.tolist() == [[0.75]]\nresult.plot()\nresult.to_dataframe()"
    )
    run(tmp_path, "-c", f"import sys; sys.path[:0] = [{str(ROOT)!r}, '.']\n{script}")


@pytest.mark.slow
def test_the_mnist_example_runs_on_digits_without_data(tmp_path: Path) -> None:
    said = run(tmp_path, str(ROOT / "examples" / "mnist_lenet.py"), "--epochs", "1")
    assert f"wdyn analyze {the_run(tmp_path)}" in said


@pytest.mark.slow
def test_the_cifar_example_runs_on_a_file_of_that_form(tmp_path: Path) -> None:
    import numpy as np

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (180, 32, 32, 3), dtype=np.uint8)
    labels = np.arange(180, dtype=np.uint8) % 10
    np.savez(tmp_path / "c.npz", x_train=images, y_train=labels, x_test=images[:20], y_test=labels[:20])
    run(tmp_path, str(ROOT / "examples" / "cifar_conv.py"), "--data", "c.npz", "--epochs", "1", "--every", "2")
    with wdyn.open_run(the_run(tmp_path)) as recorded:
        assert recorded.steps.tolist() == [0, 2]
        assert list(recorded.layers) == ["conv1", "conv2", "fc1", "fc2", "fc3"]
