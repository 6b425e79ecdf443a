import json

import pytest
import torch
from torch import nn

from tests.replay.families import FAMILIES
from wdyn.record.inventory import take_inventory
from wdyn.record.program import export_program
from wdyn.replay.interpret import Program
from wdyn.replay.model import Replay


def recorded(model: nn.Module, *args, **kwargs):
    """The model's program as a file would hold it, and its tensors."""
    inventory = take_inventory(model)
    program = json.loads(json.dumps(export_program(model, args, kwargs, inventory)))
    return program, {name: place.tensor().detach().clone() for name, place in inventory.places.items()}


def leaves(output):
    if isinstance(output, dict):
        return [leaf for key in sorted(output) for leaf in leaves(output[key])]
    if isinstance(output, list | tuple):
        return [leaf for each in output for leaf in leaves(each)]
    return [output]


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_equal_to_the_module_in_every_bit(name, dtype):
    make, inputs = FAMILIES[name]
    torch.manual_seed(0)
    model = make().to(dtype)
    for buffer in model.buffers():  # statistics as after some training
        if buffer.ndim and buffer.is_floating_point():
            buffer.uniform_(0.5, 1.5)

    def batch(count):
        made = inputs(count)
        return made.to(dtype) if made.is_floating_point() else made

    program, tensors = recorded(model, batch(4))
    replay = Replay(Program(program, "a.h5"), tensors)
    model.eval()
    for count in (1, 7, 256):
        given = batch(count)
        with torch.no_grad():  # with gradients torch takes other kernels for an LSTM
            ours, theirs = leaves(replay(given)), leaves(model(given))
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            assert a is b is None or (a.dtype == b.dtype and torch.equal(a, b)), count
