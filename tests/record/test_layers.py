"""Rows are checked by using them: what a unit answers to single inputs, and recurrent and attention steps by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn
from torch.nn.utils import parametrizations

from wdyn.record.layers import find_layers
from wdyn.record.snapshot import Snapshot
from wdyn.store.run import Layer


def table(model, include=("*",), exclude=()):
    layers, left_out = find_layers(Snapshot(model, include, exclude))
    return {row["name"]: Layer(**row) for row in layers}, dict(left_out)


def rows(model, layer):
    """(N, D) by loops, from the meaning of the fields alone."""
    weight = dict(model.named_parameters(remove_duplicate=False))[layer.parameter].detach().numpy()
    if layer.axis == 0:
        found = [weight[layer.start + n].ravel() for n in range(layer.rows)]
    else:
        per_group, inputs = layer.rows // layer.groups, len(weight) // layer.groups
        found = [
            np.concatenate([weight[(n // per_group) * inputs + c, n % per_group].ravel() for c in range(inputs)])
            for n in range(layer.rows)
        ]
    found = np.array(found)
    assert found.shape == (layer.rows, layer.columns)
    return found


def part_of_bias(model, layer):
    return dict(model.named_parameters())[layer.bias].detach().numpy()[layer.start : layer.start + layer.rows]


def test_linear_units_answer_with_their_row():
    model = nn.ModuleDict({"fc": nn.Linear(4, 3), "two": nn.Bilinear(2, 3, 5)})
    layers, left_out = table(model)
    assert_allclose(rows(model, layers["fc"]), (model["fc"](torch.eye(4)) - model["fc"].bias).T.detach(), rtol=1e-6)
    pairs = [model["two"](a, b) - model["two"].bias for a in torch.eye(2) for b in torch.eye(3)]
    assert_allclose(rows(model, layers["two"]), torch.stack(pairs, 1).detach(), rtol=1e-6, atol=1e-7)
    assert left_out.keys() == {"fc.bias", "two.bias"}
    assert set(left_out.values()) == {"one value per unit (bias or scale), so no direction"}
    assert (layers["fc"].bias, layers["fc"].kind) == ("fc.bias", "Linear")


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(("make", "dims"), [(nn.Conv1d, 1), (nn.Conv2d, 2), (nn.Conv3d, 3)])
def test_a_filter_answers_the_patch_that_is_itself_with_its_squared_norm(make, dims, groups):
    model = nn.Sequential(make(4, 6, 3, groups=groups, bias=False))
    layer = table(model)[0]["0"]
    found = rows(model, layer)
    assert (layer.rows, layer.columns) == (6, 4 // groups * 3**dims)
    for n in range(6):
        patch = torch.zeros(1, 4, *[3] * dims)
        at = n // (6 // groups) * (4 // groups)
        patch[0, at : at + 4 // groups] = torch.from_numpy(found[n]).reshape(4 // groups, *[3] * dims)
        assert_allclose(model(patch)[0, n].item(), found[n] @ found[n], rtol=1e-5)


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize(("make", "dims"), [(nn.ConvTranspose1d, 1), (nn.ConvTranspose2d, 2), (nn.ConvTranspose3d, 3)])
def test_a_transposed_filter_is_what_single_inputs_paint(make, dims, groups):
    model = nn.Sequential(make(4, 8, 2, stride=2, groups=groups, bias=False))
    layer = table(model)[0]["0"]
    painted = []
    for n in range(8):
        first = n // (8 // groups) * (4 // groups)
        strokes = []
        for channel in range(first, first + 4 // groups):
            one = torch.zeros(1, 4, *[1] * dims)
            one[0, channel] = 1
            strokes.append(model(one)[0, n].detach().numpy().ravel())
        painted.append(np.concatenate(strokes))
    assert_allclose(rows(model, layer), painted, rtol=1e-6)
    assert (layer.axis, layer.groups) == (1, groups)


@pytest.mark.parametrize("make", [nn.Embedding, nn.EmbeddingBag])
def test_an_embedding_has_one_row_per_word(make):
    model = nn.ModuleDict({"emb": make(5, 3)})
    layers, left_out = table(model)
    words = torch.arange(5) if make is nn.Embedding else torch.arange(5)[:, None]
    assert_allclose(rows(model, layers["emb"]), model["emb"](words).detach())
    assert layers["emb"].bias is None
    assert not left_out


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gate(model, layers, name, x, h):
    """A gate's input for one step: rows on the input and on the hidden state, with their biases."""
    ih, hh = layers[f"net.weight_ih_{name}"], layers[f"net.weight_hh_{name}"]
    return rows(model, ih) @ x + part_of_bias(model, ih) + rows(model, hh) @ h + part_of_bias(model, hh)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
def test_lstm_by_hand():
    model = nn.ModuleDict({"net": nn.LSTM(3, 4, bidirectional=True, proj_size=2)})
    layers, left_out = table(model)
    x, h, c = torch.randn(1, 3), torch.randn(2, 2), torch.randn(2, 4)
    out = model["net"](x, (h, c))[0].detach().numpy()[0]
    for i, suffix in enumerate(["l0", "l0_reverse"]):
        g = {
            p: gate(model, layers, f"{suffix}:{p}", x[0].numpy(), h[i].numpy())
            for p in ("input", "forget", "cell", "output")
        }
        cell = sigmoid(g["forget"]) * c[i].numpy() + sigmoid(g["input"]) * np.tanh(g["cell"])
        hidden = rows(model, layers[f"net.weight_hr_{suffix}"]) @ (sigmoid(g["output"]) * np.tanh(cell))
        assert_allclose(out[2 * i : 2 * i + 2], hidden, rtol=1e-5, atol=1e-6)  # float32 sums of a few terms
    assert len(layers) == 2 * (4 + 4 + 1)
    assert len(left_out) == 4


def test_gru_by_hand():
    model = nn.ModuleDict({"net": nn.GRU(3, 4, num_layers=2)})
    layers, _ = table(model)
    x, h = torch.randn(1, 3), torch.randn(2, 4)
    below = x[0].numpy()
    for i in range(2):
        state = h[i].numpy()
        reset, update = (sigmoid(gate(model, layers, f"l{i}:{p}", below, state)) for p in ("reset", "update"))
        ih, hh = layers[f"net.weight_ih_l{i}:new"], layers[f"net.weight_hh_l{i}:new"]
        new = rows(model, ih) @ below + part_of_bias(model, ih)
        new = np.tanh(new + reset * (rows(model, hh) @ state + part_of_bias(model, hh)))
        below = (1 - update) * new + update * state
    assert_allclose(model["net"](x, h)[0].detach().numpy()[0], below, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", [nn.RNN, nn.RNNCell])
def test_plain_recurrence_is_one_part(make):
    model = nn.ModuleDict({"net": make(3, 4)})
    layers, _ = table(model)
    suffix = "_l0" if make is nn.RNN else ""
    assert set(layers) == {f"net.weight_ih{suffix}", f"net.weight_hh{suffix}"}
    assert layers[f"net.weight_hh{suffix}"].bias == f"net.bias_hh{suffix}"


def test_recurrent_cells_are_packed_alike():
    assert set(table(nn.LSTMCell(3, 4))[0]) == {
        f"weight_{w}:{p}" for w in ("ih", "hh") for p in ("input", "forget", "cell", "output")
    }
    assert table(nn.GRUCell(3, 4))[0]["weight_hh:new"].start == 8


def test_attention_by_hand():
    model = nn.ModuleDict({"attn": nn.MultiheadAttention(4, 1)})
    nn.init.normal_(model["attn"].in_proj_bias)
    layers, left_out = table(model)
    x = torch.randn(3, 4)
    q, k, v = (
        x.numpy() @ rows(model, layers[f"attn.in_proj_weight:{p}"]).T
        + part_of_bias(model, layers[f"attn.in_proj_weight:{p}"])
        for p in ("query", "key", "value")
    )
    scores = np.exp(q @ k.T / 2)
    mixed = scores / scores.sum(1, keepdims=True) @ v
    out = mixed @ rows(model, layers["attn.out_proj"]).T + part_of_bias(model, layers["attn.out_proj"])
    assert_allclose(model["attn"](x, x, x)[0].detach(), out, rtol=1e-4, atol=1e-6)  # float32, a softmax between
    assert layers["attn.out_proj"].kind == "NonDynamicallyQuantizableLinear"
    assert left_out.keys() == {"attn.in_proj_bias", "attn.out_proj.bias"}


def test_attention_with_other_key_sizes():
    model = nn.MultiheadAttention(4, 2, kdim=3, vdim=5, add_bias_kv=True)
    layers, left_out = table(model)
    sizes = {name: (layer.rows, layer.columns, layer.bias) for name, layer in layers.items()}
    assert sizes == {
        "q_proj_weight": (4, 4, None), "k_proj_weight": (4, 3, None), "v_proj_weight": (4, 5, None),
        "out_proj": (4, 4, "out_proj.bias"),
    }  # fmt: skip
    assert left_out["bias_k"].startswith("parameter of a MultiheadAttention")


def test_a_model_that_is_one_layer():
    layers, _ = table(nn.Linear(3, 2))
    assert layers == {"weight": Layer("weight", "weight", 2, 3, 0, 0, 1, "Linear", "bias")}


def test_what_gives_no_rows_says_why():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.matrix, self.scale = nn.Parameter(torch.zeros(2, 3)), nn.Parameter(torch.tensor(1.0))

    model = nn.ModuleDict(
        {
            "own": Own(),
            "norm": nn.BatchNorm1d(3),
            "par": parametrizations.weight_norm(nn.Linear(3, 2)),
            "out": nn.Linear(2, 2),
        }
    )
    layers, left_out = table(model, exclude=("out.bias",))
    assert set(layers) == {"out"}
    assert layers["out"].bias is None
    assert left_out == {
        "own.matrix": "parameter of a Own, and wdyn does not know which axis counts its neurons",
        "own.scale": "a single value, so no direction",
        **dict.fromkeys(
            ["norm.weight", "norm.bias", "par.bias"], "one value per unit (bias or scale), so no direction"
        ),
        **dict.fromkeys(
            ["par.parametrizations.weight.original0", "par.parametrizations.weight.original1"],
            "parametrized: the forward pass uses a value computed from it, which is not recorded",
        ),
        "out.bias": "not recorded: include and exclude leave it out",
    }


def test_every_parameter_is_in_one_of_the_tables():
    model = nn.Transformer(8, 2, 1, 1, 16, batch_first=True)
    layers, left_out = table(model)
    assert {layer.parameter for layer in layers.values()} | set(left_out) == dict(model.named_parameters()).keys()
    assert not {layer.parameter for layer in layers.values()} & set(left_out)
