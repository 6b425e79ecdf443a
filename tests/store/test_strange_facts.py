"""Names, facts and indexes that wdyn would not write, with checksums that match."""

import json
import time

import h5py
import numpy as np
import pytest

import wdyn
from tests.store.forging import SECONDS, check_refused, edit_meta, everything, replace, sign, write_table
from wdyn.store.layout import escape
from wdyn.store.verify import verify

# names


def rename(file, name):
    """Another name for a tensor, in the facts as well, and checksums that match."""

    def change(meta):
        meta["tensors"][0][0] = name
        meta["layers"][0] |= {"name": name, "parameter": name}

    edit_meta(file, change)
    file["weights"].move("fc1.weight", escape(name))
    file["masks"].move("fc1.weight", escape(name))
    sign(file)


@pytest.mark.parametrize(
    "name",
    ["..", ".", "", "/", "../../etc/passwd", "</script><script>alert(1)</script>", "a" * 5000, "\u202egnp.weight",
     "\x00\x1b[2J", "\ud800", "%2E", "a\nb", "\u200b", "'\"`$(x)", "\U0001f600", "-rf", "CON", "__proto__"],
    ids=ascii,
)  # fmt: skip
def test_odd_names_come_back_as_text(full_run, name):
    truth = state_of(full_run, 69, "fc1.weight")
    with h5py.File(full_run, "a") as file:
        rename(file, name)
    started = time.monotonic()
    with wdyn.open_run(full_run) as run:
        assert list(run.parameters) == [name, "up.weight"]
        assert next(iter(run.layers)) == name
        assert list(run.masks(5)) == [name]
        np.testing.assert_array_equal(run.state(69)[name], truth)
    assert time.monotonic() - started < SECONDS
    assert verify(full_run).good


def state_of(path, step, name):
    with wdyn.open_run(path) as run:
        return run.state(step)[name]


@pytest.mark.parametrize(
    ("link", "what"),
    [
        (b"..", "has a name, shape or type"), (b"%2e", "has a name, shape or type"),
        (b"a\x1bb", "has a name, shape or type"), (b"\xff\xfe", "has a name that is not UTF-8"),
        ("\u202e".encode(), "is missing"), (b"<script>", "has no checksum"), (b"a" * 5000, "has no checksum"),
    ],
)  # fmt: skip
def test_links_that_wdyn_would_not_make_are_named_so_that_a_terminal_shows_them(full_run, link, what):
    with h5py.File(full_run, "a") as file:
        weights = file["weights"]
        weights.id.links.create_hard(link, weights.id, b"fc1.weight")
        del file["weights/fc1.weight"]
        if what.startswith("has a name, "):
            sign(file)
    check_refused(full_run, what)


# facts


def with_meta(**fields):
    return lambda meta: meta.update(fields)


def without(*keys):
    return lambda meta: [meta.pop(key) for key in keys]


def in_layer(**fields):
    return lambda meta: meta["layers"][0].update(fields)


def in_tensor(place, value):
    return lambda meta: meta["tensors"][0].__setitem__(place, value)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (with_meta(tensors={}), "tensors"), (with_meta(tensors=[[]]), "tensors"), (without("tensors"), "tensors"),
        (in_tensor(0, 3), "tensors"), (in_tensor(1, "thing"), "tensors"), (in_tensor(1, []), "tensors"),
        (in_tensor(2, "object"), "tensors"), (in_tensor(2, {}), "tensors"), (in_tensor(3, [-3, -4]), "tensors"),
        (in_tensor(3, [3.0, 4]), "tensors"), (in_tensor(3, [True, 4]), "tensors"), (in_tensor(3, [2**70]), "tensors"),
        (in_tensor(3, "34"), "tensors"), (in_tensor(3, [1] * 100), "tensors"),
        (lambda meta: meta["tensors"].append(meta["tensors"][0]), "tensors"),
        (without("layers"), "layers"), (with_meta(layers={}), "layers"), (with_meta(layers=[3]), "layers"),
        (in_layer(more=1), "layers"), (in_layer(rows=-3), "layers"), (in_layer(rows=10**9), "layers"),
        (in_layer(rows="3"), "layers"), (in_layer(start=1), "layers"), (in_layer(columns=5), "layers"),
        (in_layer(axis=7), "layers"), (in_layer(axis=1, groups=0), "layers"), (in_layer(parameter="x"), "layers"),
        (in_layer(parameter=[]), "layers"), (in_layer(bias="x"), "layers"), (in_layer(name=None), "layers"),
        (in_layer(bias="up.weight", start=2, rows=1), None), (in_layer(bias="fc1.weight", start=2, rows=3), "layers"),
        (with_meta(left_out=[["a"]]), "left_out"), (with_meta(left_out=7), "left_out"), (with_meta(tied=[]), "tied"),
        (with_meta(tied={"a": "nothing"}), "tied"), (with_meta(tied={"a": []}), "tied"), (with_meta(model=3), "model"),
        (with_meta(model=None), "model"), (without("run_id"), "run_id"), (with_meta(optimizer=[]), "optimizer"),
        (without("optimizer"), "optimizer"), (with_meta(metadata=[]), "metadata"), (with_meta(notes={}), "notes"),
        (with_meta(notes=[{}]), "notes"), (with_meta(notes=[{"what": []}]), "notes"),
        (with_meta(notes=[{"what": "gap", "steps": [1]}]), "notes"), (with_meta(notes=["x"]), "notes"),
        (with_meta(notes=[{"what": "gap", "step": "x"}]), "notes"),
        (with_meta(notes=[{"what": "gap", "reason": 3}]), "notes"),
    ],
)  # fmt: skip
def test_facts_of_another_kind_are_refused_by_name(full_run, change, key):
    with h5py.File(full_run, "a") as file:
        edit_meta(file, change)
        sign(file)
    if key is None:
        everything(full_run)
    else:
        check_refused(full_run, f"'meta' does not say {key} as a run does|has a name, shape or type")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"seed": 0', b'"seed": NaN'), (b'"seed": 0', b'"seed": Infinity'), (b'"seed": 0', b'"seed": -Infinity'),
        (b'"seed": 0', b'"seed": ' + b"9" * 5000), (b'"seed": 0', b'"seed": ' + b"[" * 10**6 + b"]" * 10**6),
        (b'"seed": 0', b'"seed": ' + b"[" * 700 + b"]" * 700), (b'"seed": 0', b'"seed": ' + b'{"a":' * 10**6),
        (b'"seed": 0', b'"seed": [' + b"[]," * (1 << 20) + b"0]"), (b'"seed": 0', b'"seed": \xff'),
        (b'"format": 1', b'"format": true'), (b'"format": 1', b'"format": 1.0'), (b'"format": 1', b'"format": "1"'),
        (b'"format": 1', b'"format": 0'), (b'"format": 1', b'"format": -1'), (b'"format": 1', b'"format": null'),
    ],
    ids=range(15),
)  # fmt: skip
def test_facts_that_are_no_json_are_no_runs(full_run, old, new):
    with h5py.File(full_run, "a") as file:
        edit_meta(file, lambda meta: meta["metadata"].update(seed=0))
        text = file["meta"][...].tobytes()
        assert text.count(old) == 1
        replace(file, "meta", np.frombuffer(text.replace(old, new), np.uint8))
        sign(file)
    check_refused(full_run, "not a run that wdyn wrote")


def test_a_format_number_of_any_length_is_newer(full_run):
    with h5py.File(full_run, "a") as file:
        edit_meta(file, with_meta(format=10**300))
        sign(file)
    check_refused(full_run, "file format 10+, but this wdyn reads 1")


@pytest.mark.parametrize(
    "index",
    [
        b"", b"{}", b"[3]", b"[[]]", b'[{"path": 3}]', b"\xff", b"[" * 10**6, b"[" + b"{}," * (1 << 22) + b"{}]",
        b'[{"path": "meta", "shape": [1], "dtype": "|u1", "first": 0, "count": 1}]',
        b'[{"path": "meta", "shape": [1], "dtype": "|u1", "chunks": null, "first": 0, "count": 1, "more": 1}]',
        b'[{"path": "meta", "shape": [-1], "dtype": "|u1", "chunks": null, "first": 0, "count": 1}]',
        b'[{"path": "meta", "shape": [1], "dtype": "O", "chunks": null, "first": 0, "count": 1}]',
        b'[{"path": "meta", "shape": [1], "dtype": "|u1", "chunks": [0], "first": 0, "count": 1}]',
        b'[{"path": "meta", "shape": [1], "dtype": "|u1", "chunks": [1, 1], "first": 0, "count": 1}]',
        b'[{"path": "meta", "shape": [1], "dtype": "|u1", "chunks": null, "first": -1, "count": 1}]',
        b'[{"path": "meta", "shape": [9223372036854775807], "dtype": "|u1", "chunks": [1], "first": 0, "count": 1}]',
    ],
    ids=range(16),
)  # fmt: skip
def test_an_index_that_is_none_is_refused(full_run, index):
    with h5py.File(full_run, "a") as file:
        write_table(file, index, [1, 2, 3])
    check_refused(
        full_run, "'checksums/index' is no index|has another number of checksums|has more chunks|has another length"
    )


def test_an_index_that_names_a_dataset_twice_is_refused(full_run):
    with h5py.File(full_run, "a") as file:
        index = json.loads(file["checksums/index"][...].tobytes())
        sums = file["checksums/crc32"][...].tolist()
        index.append({**index[0], "first": len(sums)})
        write_table(file, index, [*sums, sums[0]])
    check_refused(full_run, "is in the index twice")
