import numpy as np
import pytest

import wdyn
from tests.make_run import layer, make_run, write_journal
from tests.reference import neuron_rows
from wdyn.errors import MisuseError, NotFoundError


@pytest.fixture(params=[make_run, write_journal], ids=["packed", "journal"])
def make(request):
    """Each promise of Run holds for a file and for a journal alike."""
    return request.param


def blocks_of(run, name):
    parts = list(run.blocks(name))
    assert [at for at, _ in parts] == np.cumsum([0, *(len(block) for _, block in parts[:-1])]).tolist()
    return np.concatenate([block for _, block in parts])


def test_every_step_comes_back_bit_for_bit(make, tmp_path, arrays):
    with wdyn.open_run(make(tmp_path / "a.h5", arrays)) as run:
        assert run.steps.tolist() == list(arrays)
        assert run.times.tolist() == [1.7e9 + step for step in arrays]
        for step, truth in arrays.items():
            state = run.state(step)
            assert state.keys() == truth.keys()
            for name, array in truth.items():
                assert (state[name].dtype, state[name].shape) == (array.dtype, array.shape)
                assert state[name].tobytes() == array.tobytes()


def test_neurons_and_blocks_are_the_rows_of_the_weights(make, tmp_path, arrays):
    with wdyn.open_run(make(tmp_path / "a.h5", arrays)) as run:
        assert list(run.layers) == ["fc1", "conv", "wide"]
        for name in run.layers:
            truth = [neuron_rows.first_axis(a[f"{name}.weight"]) for a in arrays.values()]
            np.testing.assert_array_equal(blocks_of(run, name), truth)
            np.testing.assert_array_equal(run.neurons(name, 40), truth[list(arrays).index(40)])


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("kernel", [(3,), (2, 3)])
def test_output_channels_of_a_transposed_convolution_are_rows(make, tmp_path, walk, groups, kernel):
    steps = walk({"up.weight": (8, 3, *kernel)})
    rows, columns = 3 * groups, 8 // groups * int(np.prod(kernel))
    up = layer("up", (8, 3), axis=1, groups=groups, rows=rows, columns=columns, kind="ConvTranspose2d")
    with wdyn.open_run(make(tmp_path / "a.h5", steps, layers=[up])) as run:
        truth = [neuron_rows.transposed_convolution(a["up.weight"], groups) for a in steps.values()]
        np.testing.assert_array_equal(blocks_of(run, "up"), truth)
        np.testing.assert_array_equal(run.neurons("up", 1), truth[1])


@pytest.mark.parametrize("columns", [600, 60], ids=["a row per chunk", "a layer begins inside of a chunk"])
def test_a_layer_can_be_a_part_of_a_parameter(make, tmp_path, walk, columns):
    steps = walk({"lstm.weight_ih_l0": (40, columns)}, steps=range(35))
    gates = [
        layer(f"lstm:{gate}", (10, columns), parameter="lstm.weight_ih_l0", start=10 * k, kind="LSTM")
        for k, gate in enumerate(["input", "forget", "cell", "output"])
    ]
    with wdyn.open_run(make(tmp_path / "a.h5", steps, layers=gates)) as run:
        for k, gate in enumerate(run.layers):
            truth = np.stack([a["lstm.weight_ih_l0"][10 * k : 10 * k + 10] for a in steps.values()])
            np.testing.assert_array_equal(blocks_of(run, gate), truth)


def test_masks_hold_from_their_step_and_are_applied(make, tmp_path, walk, rng):
    steps = walk({"fc1.weight": (5, 9), "fc2.weight": (4, 5)}, steps=range(0, 80, 2))
    first, second = rng.random((5, 9)) > 0.5, rng.random((5, 9)) > 0.8
    masks = {10: {"fc1.weight": first}, 20: {"fc1.weight": first}, 40: {"fc1.weight": second}, 60: {}}
    with wdyn.open_run(make(tmp_path / "a.h5", steps, masks=masks)) as run:
        everything = np.ones((5, 9), bool)
        for step, arrays in steps.items():
            mask = everything if step < 10 or step >= 60 else first if step < 40 else second
            assert run.masks(step).keys() == {"fc1.weight"}
            np.testing.assert_array_equal(run.masks(step)["fc1.weight"], mask)
            expected = arrays["fc1.weight"] * mask.astype(np.float32)  # as torch's pruning multiplies, -0 and all
            assert run.state(step)["fc1.weight"].tobytes() == expected.tobytes()
            assert run.neurons("fc1", step).tobytes() == expected.tobytes()
            np.testing.assert_array_equal(run.neurons("fc2", step), arrays["fc2.weight"])
        whole = blocks_of(run, "fc1")
        assert whole.tobytes() == b"".join(run.neurons("fc1", step).tobytes() for step in steps)


def test_the_file_keeps_weights_that_a_mask_hides(tmp_path, walk):
    steps = walk({"fc1.weight": (5, 9)})
    path = make_run(tmp_path / "a.h5", steps, masks={1: {"fc1.weight": np.zeros((5, 9), bool)}})
    with wdyn.open_run(path) as run, wdyn.open_run(path) as again:
        assert not run.neurons("fc1", 2).any()
        np.testing.assert_array_equal(again._source.read("fc1.weight", np.arange(3))[2], steps[2]["fc1.weight"])


def test_an_unchanged_mask_is_stored_once(tmp_path, walk, rng):
    mask = rng.random((5, 9)) > 0.5
    masks = {step: {"fc1.weight": mask} for step in (1, 2, 3)}
    with wdyn.open_run(make_run(tmp_path / "a.h5", walk({"fc1.weight": (5, 9)}), masks=masks)) as run:
        assert run._source.masks["fc1.weight"].since.tolist() == [1]


def test_tied_parameters_appear_under_each_name(make, tmp_path, walk):
    steps = walk({"embed.weight": (6, 4)})
    with wdyn.open_run(make(tmp_path / "a.h5", steps, tied={"head.weight": "embed.weight"})) as run:
        state = run.state(2)
        np.testing.assert_array_equal(state["head.weight"], steps[2]["embed.weight"])


def test_arrays_belong_to_the_caller(make, tmp_path, walk):
    steps = walk({"fc1.weight": (3, 4)})
    with wdyn.open_run(make(tmp_path / "a.h5", steps)) as run:
        run.neurons("fc1", 1)[:] = 0
        run.state(1)["fc1.weight"][:] = 0
        np.testing.assert_array_equal(run.neurons("fc1", 1), steps[1]["fc1.weight"])
        with pytest.raises(ValueError, match="read-only"):
            run.steps[0] = 7


@pytest.mark.parametrize(
    ("named", "seen", "known"), [("Adam", [], "Adam"), (None, ["SGD", "Adam"], "SGD, Adam"), (None, [], None)]
)
def test_the_optimizer_is_the_named_one_or_those_seen_at_work(make, tmp_path, walk, named, seen, known):
    steps = walk({"fc1.weight": (3, 4)})
    notes = [(0, {"what": "optimizer", "reason": name}) for name in seen]
    with wdyn.open_run(make(tmp_path / "a.h5", steps, meta={"optimizer": named}, notes=notes)) as run:
        assert run.meta["optimizer"] == known
        assert run.notes == ()


def test_facts_metrics_sample_and_notes(make, tmp_path, walk):
    path = make(
        tmp_path / "mnist.h5", walk({"fc1.weight": (3, 4)}), metrics={"loss": {2: 0.5, 0: 2.0, 1: 1.0}},
        sample=(np.ones((2, 3), np.float32), np.arange(2)), metadata={"seed": 1},
        left_out=[("norm.weight", "one value per channel")], notes=[(2, {"what": "gap", "reason": "full disk"})],
    )  # fmt: skip
    with wdyn.open_run(path) as run:
        assert (run.name, run.path) == ("mnist", path)
        assert run.metrics["loss"].steps.tolist() == [0, 1, 2]
        assert run.metrics["loss"].values.tolist() == [2.0, 1.0, 0.5]
        assert run.sample.inputs.shape == (2, 3)
        assert run.sample.targets.tolist() == [0, 1]
        assert run.meta["metadata"] == {"seed": 1}
        assert [tuple(each) for each in run.left_out] == [("norm.weight", "one value per channel")]
        assert run.notes == ({"what": "gap", "reason": "full disk", "step": 2},)
        assert len(run.checksum) == len(f"{int(run.checksum, 16):08x}")


def test_the_checksum_depends_on_every_value(tmp_path, walk):
    steps = walk({"fc1.weight": (3, 4)})
    with wdyn.open_run(make_run(tmp_path / "a.h5", steps)) as run:
        before = run.checksum
    steps[2]["fc1.weight"][2, 3] = np.nextafter(steps[2]["fc1.weight"][2, 3], np.float32(9))
    with wdyn.open_run(make_run(tmp_path / "b.h5", steps)) as run:
        assert run.checksum != before


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (slice(None, None, 10), [0, 10, 20, 30, 130]), (slice(115, None), [120, 130]), ([5, 30, 0], [0, 5, 30]),
        (np.array([29, 29]), [29]), (slice(25, 60, 3), [25, 28, 40]), ([130], [130]),
        (slice(-5, 3), [0, 1, 2]), (slice(40, 120), [40, 50, 60, 70, 80, 90, 100, 110]),
    ],
)  # fmt: skip
def test_select_steps(make, tmp_path, arrays, steps, expected):
    with wdyn.open_run(make(tmp_path / "a.h5", arrays)) as run:
        part = run.select(steps=steps)
        assert part.steps.tolist() == expected
        np.testing.assert_array_equal(blocks_of(part, "fc1"), [arrays[step]["fc1.weight"] for step in expected])
        np.testing.assert_array_equal(part.neurons("fc1", expected[-1]), arrays[expected[-1]]["fc1.weight"])


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ("fc1", ["fc1"]),
        ("*", ["fc1", "conv", "wide"]),
        (["wide", "f*"], ["fc1", "wide"]),
        (None, ["fc1", "conv", "wide"]),
    ],
)  # fmt: skip
def test_select_layers(tmp_path, arrays, layers, expected):
    with wdyn.open_run(make_run(tmp_path / "a.h5", arrays)) as run:
        assert list(run.select(layers=layers).layers) == expected
        assert run.select(layers="fc1").select(steps=[5]).steps.tolist() == [5]


def test_what_is_not_there_is_said_with_what_is(tmp_path, arrays):
    path = make_run(tmp_path / "a.h5", arrays)
    with wdyn.open_run(path) as run:
        listed = r"It has: fc1 \(7, 30\), conv \(4, 27\), wide \(3, 2500\)"
        for ask in (lambda: run.neurons("fc3", 0), lambda: run.blocks("fc3"), lambda: run.select(layers="fc3")):
            with pytest.raises(NotFoundError, match=rf"a\.h5: no layer 'fc3'\. {listed}\. Did you mean 'fc1'\?"):
                ask()
        for ask in (lambda: run.neurons("fc1", 41), lambda: run.state(41), lambda: run.masks(41)):
            with pytest.raises(NotFoundError, match=r"no step 41\. It has 41 steps from 0 to 130; the nearest is 40\."):
                ask()
        with pytest.raises(NotFoundError, match="no step -1"):
            run.select(steps=[0, -1])
        with pytest.raises(NotFoundError, match=r"no step there\. It has 41 steps from 0 to 130\."):
            run.select(steps=slice(131, None))
        with pytest.raises(MisuseError, match="no step number was given"):
            run.select(steps=[])
        with pytest.raises(MisuseError, match="steps go forward"):
            run.select(steps=slice(None, None, -1))
        with pytest.raises(NotFoundError, match=r"no layer 'fc1'\. It has: conv"):
            run.select(layers="conv").neurons("fc1", 0)


def test_a_closed_run_says_so(tmp_path, arrays):
    run = wdyn.open_run(make_run(tmp_path / "a.h5", arrays))
    run.close()
    run.close()
    with pytest.raises(MisuseError, match="was closed"):
        run.neurons("fc1", 0)


def test_the_bias_is_one_more_column_where_there_is_one(make, tmp_path, walk, rng):
    steps = walk({"fc1.weight": (6, 5), "fc1.bias": (6,), "out.weight": (2, 6)}, steps=range(35))
    mask = np.array([1, 1, 0, 1, 1, 1], bool)
    part = layer("fc1:upper", (4, 5), parameter="fc1.weight", start=2, bias="fc1.bias")
    layers = [layer("fc1", (6, 5), bias="fc1.bias"), part, layer("out", (2, 6))]
    with wdyn.open_run(make(tmp_path / "a.h5", steps, layers=layers, masks={20: {"fc1.bias": mask}})) as run:
        every = {name: np.concatenate([block for _, block in run.blocks(name, bias=True)]) for name in run.layers}
        for found, (step, arrays) in zip(every["fc1"], steps.items(), strict=True):
            bias = arrays["fc1.bias"] * (mask if step >= 20 else 1)
            np.testing.assert_array_equal(found, np.column_stack([arrays["fc1.weight"], bias]))
        np.testing.assert_array_equal(every["fc1:upper"], every["fc1"][:, 2:])
        np.testing.assert_array_equal(every["out"], blocks_of(run, "out"))
        np.testing.assert_array_equal(next(run.select(steps=[30]).blocks("fc1", bias=True))[1][0], every["fc1"][30])


def test_each_chunk_is_inflated_once(tmp_path, arrays, monkeypatch):
    from wdyn.store import packed_file

    with wdyn.open_run(make_run(tmp_path / "a.h5", arrays)) as run:
        count, honest = [], packed_file.decompress
        monkeypatch.setattr(packed_file, "decompress", lambda *a: count.append(1) or honest(*a))
        list(run.blocks("wide"))
        # 41 steps in bands of 32; rows of 2,500 values in three chunks, one row each
        assert len(count) == 2 * 3 * 3


def test_what_was_kept_is_not_inflated_again_and_belongs_to_nobody(tmp_path, arrays, monkeypatch):
    from wdyn.store import packed_file

    path = make_run(tmp_path / "a.h5", arrays)
    count, honest = [], packed_file.decompress
    monkeypatch.setattr(packed_file, "decompress", lambda *a: count.append(1) or honest(*a))
    for keep, again in ((10**9, 0), (0, 18), (32 * 3 * 2500 * 4, 9)):  # room for all, none or 32 of the 41 steps
        with wdyn.open_run(path, keep=keep) as run:
            blocks_of(run, "wide")[:] = 0
            for _, block in run.select(steps=[2, 50]).blocks("wide"):
                block[:] = 0
            count.clear()
            np.testing.assert_array_equal(blocks_of(run, "wide"), [now["wide.weight"] for now in arrays.values()])
            assert len(count) == again


def test_a_tensor_through_time_with_and_without_its_mask(make, tmp_path, arrays, rng):
    masks = {step: {"fc1.weight": rng.random(arrays[0]["fc1.weight"].shape) < 0.5} for step in (0, 40)}
    with wdyn.open_run(make(tmp_path / "a.h5", arrays, masks=masks)) as run:
        for masked in (True, False):
            for name in ("fc1.weight", "fc1.bias"):
                truth = [run.state(step, [name], masked=masked)[name] for step in arrays]
                parts = list(run.history(name, masked=masked))
                assert [at for at, _ in parts] == np.cumsum([0, *(len(block) for _, block in parts[:-1])]).tolist()
                np.testing.assert_array_equal(np.concatenate([block for _, block in parts]), truth)
        with pytest.raises(NotFoundError, match=r"'fc3.weight' was not recorded"):
            run.history("fc3.weight")


def test_the_steps_at_which_masks_change(make, tmp_path, arrays, rng):
    shape = arrays[0]["fc1.weight"].shape
    masks = {step: {"fc1.weight": rng.random(shape) < 0.5} for step in list(arrays)[2:4]}
    with wdyn.open_run(make(tmp_path / "a.h5", arrays, masks=masks)) as run:
        assert {name: found.tolist() for name, found in run.mask_changes().items()} == {"fc1.weight": list(masks)}
        later = run.select(steps=list(arrays)[5:])  # the last of them holds from the first step on offer
        assert later.mask_changes()["fc1.weight"].tolist() == [list(arrays)[5]]
    with wdyn.open_run(make(tmp_path / "b.h5", arrays)) as run:
        assert run.mask_changes() == {}
