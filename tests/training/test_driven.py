"""What happens at a change of masks: RigL, SET, SNFS and gradual pruning, step by step."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW

import rarefy
from rarefy import growth

STEPS = 24


def algorithm_1(weight, gradient, mask, share):
    """RigL's exchange of one weight, in plain Python: the mask afterwards."""
    size, living = list(range(len(mask))), [i for i, kept in enumerate(mask) if kept]
    count = int(share * len(living))
    # ties stay with the lower index
    survivors = set(sorted(living, key=lambda i: (-abs(weight[i]), i))[: len(living) - count])
    others = [i for i in size if i not in survivors]
    arrivals = sorted(others, key=lambda i: (-abs(gradient[i]), i))[:count]
    after = survivors | set(arrivals)
    return [i in after for i in size]


def shares(step, until=18, share=0.3):
    return share / 2 * (1 + math.cos(step * math.pi / until))


def test_rigl_is_algorithm_1(lab):
    model = lab.build()
    optimizer = SGD(model.parameters(), lr=0.3, momentum=0.9)
    sparsifier = rarefy.sparsify(
        model, 0.6, "rigl", optimizer=optimizer, steps=STEPS, when="every 4 until 75%", seed=1
    )
    exchanges = 0
    for step, batch in enumerate(lab.batches(STEPS)):
        twin = copy.deepcopy(model)  # without hooks: its gradients are dense
        lab.backward(twin, batch)
        wanted = {
            name: algorithm_1(
                twin.get_parameter(name).flatten().tolist(),
                twin.get_parameter(name).grad.flatten().tolist(),
                mask.flatten().tolist(),
                shares(step),
            )
            if step in (4, 8, 12)
            else mask.flatten().tolist()
            for name, mask in sparsifier.masks.items()
        }
        lab.train(model, optimizer, [batch])
        for name, mask in sparsifier.masks.items():
            assert mask.flatten().tolist() == wanted[name], (step, name)
        exchanges += step in (4, 8, 12)
    assert exchanges == 3


def almost_there(lab, kind, method, **given):
    """A run just before its first exchange, and what takes a picture of it."""
    model = lab.build()
    optimizer = kind(model)
    sparsifier = rarefy.sparsify(
        model, 0.6, method, optimizer=optimizer, steps=STEPS, when="every 8", seed=2, **given
    )
    data = lab.batches(STEPS)
    lab.train(model, optimizer, data[: 8 if method == "rigl" else 7])  # before or after a step

    def picture():
        return {
            name: (
                mask.clone(),
                sparsifier.weights()[name].detach().clone(),
                [each.clone() for each in lab.states(optimizer, sparsifier.weights()[name])],
            )
            for name, mask in sparsifier.masks.items()
        }

    return model, optimizer, sparsifier, data, picture


@pytest.mark.parametrize(
    "kind",
    [
        lambda m: SGD(m.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-2),
        lambda m: AdamW(m.parameters(), lr=1e-2, amsgrad=True),
        lambda m: Adam(m.parameters(), lr=1e-2, fused=True),
    ],
)
def test_rigl_takes_no_step_where_it_exchanges(lab, kind):
    model, optimizer, sparsifier, data, picture = almost_there(lab, kind, "rigl")
    before = picture()
    biases = [model[i].bias.detach().clone() for i in (0, 2, 4)]
    counts = {name: state["step"].clone() for name, state in named_states(model, optimizer)}
    lab.train(model, optimizer, [data[8]])
    after = picture()
    for name, (mask, weight, states) in before.items():
        now, moved, moved_states = after[name]
        arrivals, gone, stayed = now & ~mask, mask & ~now, mask & now
        assert arrivals.sum() == gone.sum() > 0
        for old, new in [(weight, moved), *zip(states, moved_states, strict=True)]:
            assert not new[arrivals].any()
            assert not new[gone].any()
            assert lab.same_bits(old[stayed], new[stayed])
    for bias, layer in zip(biases, (0, 2, 4), strict=True):
        assert lab.same_bits(bias, model[layer].bias)
    for name, state in named_states(model, optimizer):
        assert torch.equal(state["step"], counts[name])
    assert sparsifier.step == 9


def named_states(model, optimizer):
    return [
        (name, optimizer.state[weight])
        for name, weight in model.named_parameters()
        if "step" in optimizer.state.get(weight, {})
    ]


def test_adam_counts_the_steps_that_happened(lab):
    model = lab.build()
    optimizer = Adam(model.parameters())
    sparsifier = rarefy.sparsify(
        model,
        0.6,
        "rigl",
        optimizer=optimizer,
        steps=STEPS,
        when="every 4 until 75%",
        growth=growth.Gradient(decay="constant"),
        seed=1,
    )
    lab.train(model, optimizer, lab.batches(STEPS))
    assert sparsifier.step == STEPS
    assert {float(s["step"]) for _, s in named_states(model, optimizer)} == {STEPS - 4.0}
    sparsifier.check()


def one_row(rule, *, momentum=0.9):
    """A weight of 1 x 6 whose first three places live: 3, 2 and 1."""
    model = nn.Linear(6, 1, bias=False)
    optimizer = SGD(model.parameters(), lr=1.0, momentum=momentum)
    sparsifier = rarefy.sparsify(
        model,
        0.5,
        "rigl",
        growth=rule,
        optimizer=optimizer,
        steps=10,
        when="every 1 until 1",
        seed=0,
    )
    state = sparsifier.state_dict()
    mask = torch.tensor([[True, True, True, False, False, False]])
    state["masks"]["weight"]["bits"] = torch.tensor([0b000111], dtype=torch.uint8)
    state["nonzero"]["weight"] = 3
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[3.0, 2.0, 1.0, 0.0, 0.0, 0.0]]))
    sparsifier.load_state_dict(state)
    assert torch.equal(sparsifier.masks["weight"], mask)
    model.weight.grad = torch.zeros(1, 6)
    optimizer.step()  # momentum 0 everywhere, and step 1 is due
    optimizer.state[model.weight]["momentum_buffer"].copy_(
        torch.tensor([[0.5, 0.25, 0.125, 0.0, 0.0, 0.0]])
    )
    return model, optimizer, sparsifier


def test_a_weight_that_returns_at_once_keeps_value_and_state():
    rule = growth.Gradient(share=0.67, decay="constant")  # two of three are dropped
    model, optimizer, sparsifier = one_row(rule)
    # of the two dropped (2 and 1) the second has the largest gradient of all, and returns
    model.weight.grad = torch.tensor([[0.0, 0.1, 9.0, 0.2, 0.3, 0.0]])
    optimizer.step()
    assert model.weight.tolist() == [[3.0, 0.0, 1.0, 0.0, 0.0, 0.0]]
    assert sparsifier.masks["weight"].tolist() == [[True, False, True, False, True, False]]
    momentum = optimizer.state[model.weight]["momentum_buffer"]
    assert momentum.tolist() == [[0.5, 0.0, 0.125, 0.0, 0.0, 0.0]]


def test_newcomers_drawn_from_a_normal_leave_returners_alone():
    rule = growth.Gradient(share=0.67, decay="constant", start="normal", spread=0.1)
    model, optimizer, _ = one_row(rule)
    model.weight.grad = torch.tensor([[0.0, 0.1, 9.0, 0.2, 0.3, 0.0]])
    optimizer.step()
    values = model.weight.tolist()[0]
    assert values[:4] == [3.0, 0.0, 1.0, 0.0]
    assert values[5] == 0.0
    assert 0 < abs(values[4]) < 0.6
    assert optimizer.state[model.weight]["momentum_buffer"].tolist()[0][4] == 0.0


def test_an_exchange_that_rounds_to_nothing_is_a_step():
    rule = growth.Gradient(share=0.3, decay="constant")  # of three: none
    model, optimizer, sparsifier = one_row(rule, momentum=0.5)
    model.weight.grad = torch.tensor([[1.0, 0.0, 0.0, 5.0, 5.0, 5.0]])  # arrived dense
    optimizer.step()
    assert sparsifier.masks["weight"].tolist() == [[True] * 3 + [False] * 3]
    # 3 - (0.5 * 0.5 + 1), 2 - 0.5 * 0.25, 1 - 0.5 * 0.125; nothing of the dead gradients
    assert model.weight.tolist() == [[1.75, 1.875, 0.9375, 0.0, 0.0, 0.0]]
    assert sparsifier.step == 2


@pytest.mark.parametrize("method", ["set", "snfs"])
def test_arrivals_after_a_step_have_no_state(lab, method):
    def kind(model):
        return AdamW(model.parameters(), lr=1e-2)

    given = {"growth": growth.Random(decay="constant")} if method == "set" else {}
    model, optimizer, _, data, picture = almost_there(lab, kind, method, **given)
    before = picture()
    lab.train(model, optimizer, [data[7]])
    after = picture()
    arrived = 0
    for name, (mask, _, _) in before.items():
        now, weight, states = after[name]
        arrivals = now & ~mask
        arrived += int(arrivals.sum())
        for state in states:
            assert not state[arrivals].any()
            assert state[now & mask].any()
        assert not weight[arrivals].any()
    assert arrived
    assert {float(s["step"]) for _, s in named_states(model, optimizer)} == {8.0}


@pytest.mark.parametrize("spread", [None, 2.0])
def test_newcomers_are_drawn_as_the_weights_were(lab, spread):
    model = lab.build()
    deviations = {name: float(w.detach().std()) for name, w in model.named_parameters()}
    optimizer = AdamW(model.parameters(), lr=1e-2)
    rule = growth.Random(share=0.5, decay="constant", start="normal", spread=spread)
    sparsifier = rarefy.sparsify(
        model,
        0.5,
        "set",
        growth=rule,
        allocation="uniform",
        optimizer=optimizer,
        steps=40,
        when="every 1",
        seed=0,
    )
    drawn = {name: [] for name in sparsifier.masks}
    before = [sparsifier.masks]

    def look():
        for name, mask in sparsifier.masks.items():
            arrivals = mask & ~before[0][name]
            weight = sparsifier.weights()[name]
            drawn[name].append(weight.detach()[arrivals])
            for state in lab.states(optimizer, weight):
                assert not state[arrivals].any()
        before[0] = sparsifier.masks

    lab.train(model, optimizer, lab.batches(25), look)
    for name, values in drawn.items():
        newcomers = torch.cat(values)
        assert newcomers.all()
        assert len(set(newcomers.tolist())) == len(newcomers)  # drawn anew each time
        wanted = spread or deviations[name]
        assert float(newcomers.std()) == pytest.approx(wanted, rel=0.25)


def test_snfs_moves_weights_between_layers_and_keeps_the_whole(lab):
    model = lab.build()
    optimizer = SGD(model.parameters(), lr=0.3)
    sparsifier = rarefy.sparsify(
        model, 0.6, "snfs", optimizer=optimizer, steps=STEPS, when="every 4 until 75%", seed=0
    )
    first = {name: int(mask.sum()) for name, mask in sparsifier.masks.items()}
    lab.train(model, optimizer, lab.batches(STEPS))
    now = {name: int(mask.sum()) for name, mask in sparsifier.masks.items()}
    assert sum(now.values()) == sum(first.values())
    assert now != first
    assert min(now.values()) >= 1
