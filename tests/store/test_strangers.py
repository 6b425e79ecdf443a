"""Files that were made to do harm: each is refused at once with one sentence, or is a run; none reaches out."""

import ctypes
import os
import time

import h5py
import numpy as np
import pytest
from h5py import h5d, h5p, h5s, h5t

from tests.store.forging import FILTERS, SECONDS, check_refused, edit_meta, everything, replace, sign
from wdyn.store.structure import look

IN_OPEN = 0x20


class Watched:
    """A file that nobody may open."""

    def __init__(self, path):
        self.path = path
        with h5py.File(path, "w") as file:
            file["x"] = np.zeros(12, np.float32)
        libc = ctypes.CDLL(None, use_errno=True)
        self.queue = libc.inotify_init1(os.O_NONBLOCK)
        assert libc.inotify_add_watch(self.queue, os.fsencode(path), IN_OPEN) > 0

    def was_opened(self):
        try:
            return bool(os.read(self.queue, 4096))
        except BlockingIOError:
            return False


@pytest.fixture
def outside(tmp_path):
    watched = Watched(tmp_path / "outside.h5")
    yield watched
    os.close(watched.queue)


def test_a_watched_file_tells(outside):
    assert not outside.was_opened()
    outside.path.read_bytes()
    assert outside.was_opened()


STRANGERS, RUNS = {}, {}


def refused(what, *, signed=False):
    """A change to an open file after which it must be refused, with this in the sentence."""

    def add(change):
        STRANGERS[change.__name__] = change, what, signed
        return change

    return add


def legal(change):
    """A change after which the file is a run like any other."""
    RUNS[change.__name__] = change
    return change


def swap(file, make, name="metrics/loss/value"):
    """Something else in the place of a dataset; the checksums stay."""
    group, _, last = name.rpartition("/")
    del file[name]
    make(file[group] if group else file, last)


# what leads out of the file


@refused("is stored outside of the file")
def external_storage(file, outside):
    swap(file, lambda group, name: group.create_dataset(name, (2,), "<f8", external=[(outside, 0, 16)]))


@refused("not a run that wdyn wrote")
def external_storage_of_the_facts(file, outside):
    swap(file, lambda group, name: group.create_dataset(name, (400,), "u1", external=[(outside, 0, 400)]), "meta")


@refused("'metrics/loss/value' is a link to somewhere else")
def external_link(file, outside):
    swap(file, lambda group, name: group.__setitem__(name, h5py.ExternalLink(outside, "/x")))


@refused("'weights' is a link to somewhere else")
def external_link_for_a_group(file, outside):
    swap(file, lambda group, name: group.__setitem__(name, h5py.ExternalLink(outside, "/")), "weights")


@refused("not a run that wdyn wrote")
def external_link_for_the_facts(file, outside):
    swap(file, lambda group, name: group.__setitem__(name, h5py.ExternalLink(outside, "/x")), "meta")


@refused("'checksums' is a link to somewhere else")
def external_link_for_the_checksums(file, outside):
    swap(file, lambda group, name: group.__setitem__(name, h5py.ExternalLink(outside, "/x")), "checksums")


@refused("is a link to somewhere else")
def soft_link(file, outside):
    swap(file, lambda group, name: group.__setitem__(name, h5py.SoftLink("/metrics/lose/value")))


@refused("is a link to somewhere else")
def dangling_soft_link(file, outside):
    file["weights/more"] = h5py.SoftLink("/nowhere")


@refused("is a link to somewhere else")
def dangling_external_link(file, outside):
    file["weights/more"] = h5py.ExternalLink("/dev/nowhere", "/x")


@refused("is stored outside of the file")
def virtual_dataset(file, outside):
    layout = h5py.VirtualLayout((2,), "<f8")
    layout[:] = h5py.VirtualSource(outside, "x", (2,))
    swap(file, lambda group, name: group.create_virtual_dataset(name, layout))


@refused("is stored outside of the file")
def virtual_dataset_without_end(file, outside):
    """Whose shape libhdf5 finds by looking into the other file."""
    space, source = h5s.create_simple((2, 1), (h5s.UNLIMITED, 1)), h5s.create_simple((2, 1), (h5s.UNLIMITED, 1))
    for each in (space, source):
        each.select_hyperslab((0, 0), (h5s.UNLIMITED, 1))
    made = h5p.create(h5p.DATASET_CREATE)
    made.set_virtual(space, str(outside).encode(), b"x", source)
    swap(file, lambda group, name: h5d.create(group.id, name.encode(), h5t.IEEE_F64LE, space, made))


# what leads in circles, or never ends


@refused("in a group too deep")
def cycle_to_the_parent(file, outside):
    file["weights/loop"] = file["weights"]


@refused("in a group too deep")
def cycle_to_the_root(file, outside):
    file["weights/loop"] = file["/"]


@refused("in a group too deep")
def a_thousand_groups_in_each_other(file, outside):
    group = file["weights"]
    for _ in range(1000):
        group = group.create_group("a")


@refused("is another name of a dataset")
def one_dataset_under_two_names(file, outside):
    swap(file, lambda group, name: group.__setitem__(name, file["metrics/lose/value"]))


@refused("'weights/' has more members than there are checksums")
def a_hundred_thousand_links(file, outside):
    links(file, 100_000, b"time")


@refused("'weights/' has more members than there are checksums")
def a_hundred_thousand_links_to_a_group(file, outside):
    links(file, 100_000, b"masks")


def links(file, count, target):
    root, weights = file["/"], file["weights"]
    for k in range(count):
        weights.id.links.create_hard(str(k).encode(), root.id, target)


@refused("not a run that wdyn wrote")
def many_links_at_the_top(file, outside):
    for k in range(1000):
        file.create_group(str(k))


# what claims to be huge


@refused("was never written")
def huge_in_one_piece(file, outside):
    swap(file, lambda group, name: group.create_dataset(name, (2**60,), "u1"))


@refused("has more chunks than there are checksums")
def huge_in_chunks(file, outside):
    swap(file, lambda group, name: group.create_dataset(name, (2**60,), "<f4", chunks=(1024,), **FILTERS))


@refused("has chunks of more than 268,435,456 bytes")
def huge_chunk(file, outside):
    swap(file, lambda group, name: group.create_dataset(name, (2**29,), "u1", chunks=(2**29,), **FILTERS))


@refused("was never written")
def huge_row_of_checksums(file, outside):
    swap(file, lambda group, name: group.create_dataset(name, (2**60,), "<u4"), "checksums/crc32")


@refused("was never written|not a run")
def huge_facts(file, outside):
    swap(file, lambda group, name: group.create_dataset(name, (2**60,), "u1"), "meta")


@refused("has more chunks than there are checksums")
def many_chunks_of_no_checksum(file, outside):
    swap(file, lambda group, name: group.create_dataset(name, (10**6,), "u1", chunks=(1,), **FILTERS))


def create_with(plist_change, kind=h5t.IEEE_F64LE, shape=(2,)):
    def make(group, name):
        made = h5p.create(h5p.DATASET_CREATE)
        made.set_chunk(shape)
        plist_change(made)
        h5d.create(group.id, name.encode(), kind, h5s.create_simple(shape), made)

    return make


# other filters, layouts and types


@refused("uses another filter than shuffle and gzip")
def scale_offset(file, outside):
    swap(file, lambda group, name: group.create_dataset(name, data=np.ones(2, "<i8"), chunks=(2,), scaleoffset=3))


@refused("uses another filter than shuffle and gzip")
def nbit(file, outside):
    swap(file, create_with(lambda made: made.set_filter(5, 1)))


@refused("uses another filter than shuffle and gzip")
def szip(file, outside):
    swap(file, create_with(lambda made: made.set_filter(4, 1, (4, 2))))


@refused("uses another filter than shuffle and gzip")
def unknown_filter(file, outside):
    swap(file, create_with(lambda made: made.set_filter(32_123, 1)))


@refused("uses another filter than shuffle and gzip")
def gzip_thirty_times(file, outside):
    swap(file, create_with(lambda made: [made.set_deflate(9) for _ in range(30)]))


@refused("uses another filter than shuffle and gzip")
def fletcher32(file, outside):
    swap(file, create_with(lambda made: made.set_fletcher32()))


@refused("is chunked, but not with shuffle and gzip")
def chunks_without_a_filter(file, outside):
    swap(file, create_with(lambda made: None))


@refused("is stored outside of the file, or in a header")
def compact(file, outside):
    def make(group, name):
        made = h5p.create(h5p.DATASET_CREATE)
        made.set_layout(h5d.COMPACT)
        h5d.create(group.id, name.encode(), h5t.IEEE_F64LE, h5s.create_simple((2,)), made)

    swap(file, make)


@refused("has no shape")
def no_shape(file, outside):
    swap(file, lambda group, name: group.create_dataset(name, data=h5py.Empty("<f8")))


@refused("'time' is not a plain row of float64")
def scalar_in_the_place_of_a_row(file, outside):
    replace(file, "time", np.float64(3))


def typed(kind):
    return lambda group, name: h5d.create(group.id, name.encode(), kind, h5s.create_simple((2,)))


def twelve_bits():
    kind = h5t.STD_I16LE.copy()
    kind.set_precision(12)
    return kind


def wrong_float():
    kind = h5t.IEEE_F32LE.copy()
    kind.set_ebias(99)
    return kind


@pytest.mark.parametrize(
    "kind",
    [
        h5t.py_create(h5py.string_dtype(), logical=True), h5t.py_create(np.dtype("S5")),
        h5t.py_create(h5py.ref_dtype, logical=True), h5t.py_create(h5py.regionref_dtype, logical=True),
        h5t.py_create(np.dtype([("a", "i4"), ("b", "f4")])), h5t.py_create(np.dtype("c8")),
        h5t.py_create(np.dtype("?"), logical=True), h5t.py_create(h5py.enum_dtype({"a": 1}), logical=True),
        h5t.create(h5t.OPAQUE, 3), h5t.py_create(np.dtype(("<f4", (3,)))), h5t.STD_B8LE, h5t.UNIX_D32LE,
        h5t.py_create(h5py.vlen_dtype(np.int32), logical=True), twelve_bits(), wrong_float(),
    ],
    ids=lambda kind: type(kind).__name__,  # as text it has an address, and each process of the tests another one
)  # fmt: skip
def test_other_types_than_plain_numbers_are_refused(full_run, kind):
    with h5py.File(full_run, "a") as file:
        swap(file, typed(kind))
    check_refused(full_run, "holds neither integers nor floats")


@refused("is big-endian")
def big_endian(file, outside):
    swap(file, typed(h5t.IEEE_F64BE))


@refused("has a committed type")
def committed_type(file, outside):
    file["weights/type"] = np.dtype("<f8")
    swap(file, lambda group, name: group.create_dataset(name, data=np.ones(2), dtype=file["weights/type"]))


@refused("is no dataset")
def committed_type_as_a_member(file, outside):
    file["weights/type"] = np.dtype("<f8")


@refused("is missing|is no dataset|not a run")
def facts_that_are_a_group(file, outside):
    swap(file, lambda group, name: group.create_group(name), "meta")


@refused("was never written")
def fill_values_in_the_place_of_values(file, outside):
    swap(file, lambda group, name: group.create_dataset(name, (70,), "<f8", fillvalue=7.0), "time")


@legal
def metadata_deep_and_wide(file, outside):
    deep = []
    for _ in range(400):
        deep = [deep]
    many = {"deep": deep, "wide": list(range(10**5)), "large": 10**4000}
    edit_meta(file, lambda meta: meta.update(metadata=many))
    sign(file)


@legal
def attributes_without_end(file, outside):
    file.attrs.create("large", np.zeros(10**6))
    for k in range(3000):
        file["weights"].attrs[f"a{k}"] = "x"
    file["weights/fc1.weight"].attrs.create("ref", file["time"].ref, dtype=h5py.ref_dtype)
    file["weights/fc1.weight"].attrs["text"] = ["\u202e"] * 50


@legal
def thousands_of_metrics(file, outside):
    for k in range(500):
        file[f"metrics/m{k}/step"], file[f"metrics/m{k}/value"] = np.arange(2), np.ones(2)
    sign(file)


# the small things


@refused("steps that do not increase", signed=True)
def steps_that_go_back(file, outside):
    file["steps"][3] = 1


@refused("steps that do not increase", signed=True)
def negative_steps(file, outside):
    file["steps"][0] = -1


@refused("steps that do not increase", signed=True)
def masks_that_go_back(file, outside):
    replace(file, "masks/fc1.weight/since", np.array([5, 3]))
    replace(file, "masks/fc1.weight/bits", np.zeros((2, 2), np.uint8))


@refused("has a name, shape or type", signed=True)
def masks_of_nothing(file, outside):
    file["masks"].move("fc1.weight", "fc9.weight")


@refused("has a name, shape or type", signed=True)
def masks_of_another_size(file, outside):
    replace(file, "masks/fc1.weight/bits", np.zeros((1, 3), np.uint8))


@refused("has a name, shape or type", signed=True)
def masks_without_steps(file, outside):
    del file["masks/fc1.weight/since"]


@refused("has a name, shape or type", signed=True)
def metrics_without_values(file, outside):
    del file["metrics/loss/value"]


@refused("has a name, shape or type", signed=True)
def metrics_of_two_lengths(file, outside):
    replace(file, "metrics/loss/value", np.ones(3))


@refused("has a name, shape or type", signed=True)
def inputs_without_targets(file, outside):
    del file["sample/targets"]


@refused("has a name, shape or type", signed=True)
def fewer_targets_than_inputs(file, outside):
    replace(file, "sample/targets", np.ones(1))


@refused("has a name, shape or type", signed=True)
def another_member(file, outside):
    file["thing"] = np.ones(3)


@refused("an empty run", signed=True)
def another_number_of_times(file, outside):
    replace(file, "time", np.ones(3))


# all of them


@pytest.mark.parametrize("name", sorted(STRANGERS))
def test_a_stranger_is_refused_at_once_and_leads_nowhere(full_run, outside, name):
    change, what, signed = STRANGERS[name]
    with h5py.File(full_run, "a") as file:
        change(file, outside.path)
        if signed:
            sign(file)
    outside.was_opened()  # by this test, maybe
    check_refused(full_run, what)
    descriptor = os.open(full_run, os.O_RDONLY)
    look(descriptor)  # without the limit on open files that the helper has
    os.close(descriptor)
    assert not outside.was_opened()


@pytest.mark.parametrize("name", sorted(RUNS))
def test_a_run_is_a_run_whatever_else_is_in_it(full_run, outside, name):
    truth = everything(full_run)
    with h5py.File(full_run, "a") as file:
        RUNS[name](file, outside.path)
    started = time.monotonic()
    again = everything(full_run)
    assert time.monotonic() - started < SECONDS
    tensors = [each for each in truth if isinstance(each, tuple)]
    assert set(tensors) <= {each for each in again if isinstance(each, tuple)}
