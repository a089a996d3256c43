"""torch.compile, torch.export and trainers see an ordinary model and an ordinary optimizer."""

import pytest
import torch
from torch import nn
from torch.optim import AdamW

import rarefy

STEPS = 16
METHODS = ["static", "set", "rigl", "snfs", "gmp"]


def sparse(model, method, optimizer, **given):
    words = {"steps": STEPS, "seed": 0} | given
    if method != "static":
        words["when"] = "every 4 until 75%"
    return rarefy.sparsify(model, 0.75, method, optimizer=optimizer, **words)


def optimizer_of(model):
    return AdamW(model.parameters(), lr=1e-2)


@pytest.fixture(params=METHODS)
def run(request, lab):
    model = lab.build()
    optimizer = optimizer_of(model)
    return model, optimizer, sparse(model, request.param, optimizer)


@pytest.fixture
def compiling():
    """Dynamo warns of things that are not ours, and keeps caches between tests."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    yield torch._dynamo.utils.counters
    torch._dynamo.reset()


@pytest.mark.parametrize("method", METHODS)
def test_a_compiled_model_is_compiled_once(lab, compiling, method):
    graphs = []

    def backend(graph, inputs):
        del inputs
        graphs.append(graph)
        return graph.forward

    model = lab.build()
    optimizer = optimizer_of(model)
    compiled = torch.compile(model, fullgraph=True, backend=backend)
    sparsifier = sparse(compiled, method, optimizer)
    assert sparsifier.model is model
    changes = []

    def look():
        lab.assert_zeros(sparsifier, optimizer)
        changes.append(sparsifier.masks)

    lab.train(compiled, optimizer, lab.batches(STEPS), look)
    assert len(graphs) == 1  # masks are in no graph, so a change of them makes none
    assert not compiling["graph_break"]
    assert len({id(each) for each in changes}) > 1 or method == "static"
    assert set(sparsifier.masks) == {"0.weight", "2.weight", "4.weight"}
    plain, other = lab.build(), None
    steps = optimizer_of(plain)
    other = sparse(plain, method, steps)
    lab.train(plain, steps, lab.batches(STEPS))
    for one, wanted in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.equal(one, wanted)
    del other


def test_a_compiled_backward(lab, compiling):
    model = lab.build()
    optimizer = optimizer_of(model)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    sparsifier = sparse(compiled, "rigl", optimizer)
    lab.train(
        compiled, optimizer, lab.batches(STEPS), lambda: lab.assert_zeros(sparsifier, optimizer)
    )
    sparsifier.check()
    assert compiling["stats"]["unique_graphs"] == 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the compiler's own
def test_a_compiled_step(lab, compiling, method):
    model = lab.build()
    optimizer = optimizer_of(model)
    sparsifier = sparse(model, method, optimizer)
    step = torch.compile(optimizer.step, backend="eager")
    for batch in lab.batches(STEPS):
        optimizer.zero_grad()
        lab.backward(model, batch)
        step()
        lab.assert_zeros(sparsifier, optimizer)
    assert sparsifier.step == STEPS
    assert sparsifier.masks.kept == 98
    sparsifier.check()
    assert compiling["stats"]["unique_graphs"] >= 1  # it was compiled, in spite of the hooks


def test_export(lab, run):
    model, optimizer, _ = run
    data = lab.batches(6)
    lab.train(model, optimizer, data)
    program = torch.export.export(model, (data[0][0],))
    assert torch.equal(program.module()(data[0][0]), model(data[0][0]))
    assert set(program.state_dict) == set(model.state_dict())


@pytest.mark.parametrize("wraps_first", [True, False])
def test_hf_accelerate(lab, wraps_first):
    accelerate = pytest.importorskip("accelerate")
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=2)
    model = lab.build()
    optimizer = optimizer_of(model)
    if wraps_first:
        prepared, wrapped = accelerator.prepare(model, optimizer)
        sparsifier = sparse(prepared, "rigl", wrapped, steps=10)
    else:
        sparsifier = sparse(model, "rigl", optimizer, steps=10)
        prepared, wrapped = accelerator.prepare(model, optimizer)
    for inputs, target in lab.batches(20):
        with accelerator.accumulate(prepared):
            loss = nn.functional.cross_entropy(prepared(inputs), target)
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(prepared.parameters(), 1.0)
            wrapped.step()
            wrapped.zero_grad()
        lab.assert_zeros(sparsifier, optimizer)
    assert sparsifier.step == 10
    sparsifier.check()
    state = accelerator.unwrap_model(prepared).state_dict()
    assert list(state) == list(lab.build().state_dict())
    accelerator.free_memory()
