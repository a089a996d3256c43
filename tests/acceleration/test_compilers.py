"""Accelerated models under torch.compile, torch.export and torch.jit, and in other surroundings."""

import io
import multiprocessing

import pytest
import torch

NETS = ("encoder", "lenet", "mlp", "resnet", "tied", "counter")


def nodes(graph):
    return sum(node.target is torch.ops.rarefy.chain.default for node in graph.nodes)


@pytest.mark.parametrize("name", NETS)
def test_it_compiles_without_a_break_and_the_graph_has_its_chains(name, nets):
    model, example = nets.made(name)
    fast = nets.fast(name)
    seen = []

    def backend(module, inputs):
        del inputs
        seen.append(nodes(module.graph))
        return module.forward

    torch._dynamo.reset()
    compiled = torch.compile(fast, backend=backend, fullgraph=True)
    for batch in (2, 3, 5):
        inputs = example(batch, 7)
        assert nets.same(nets.run(compiled, inputs), nets.run(model, inputs))
    assert seen
    assert min(seen) == {"encoder": 6, "counter": 2}.get(name, 1)
    torch._dynamo.reset()


@pytest.mark.parametrize("name", NETS)
def test_it_is_exported_saved_and_loaded_with_its_chains(name, nets):
    model, example = nets.made(name)
    fast = nets.fast(name)
    inputs = example(2, 7)
    with torch.no_grad():
        exported = torch.export.export(fast, (inputs,), strict=False)
    assert nodes(exported.graph) == {"encoder": 6, "counter": 2}.get(name, 1)
    file = io.BytesIO()
    torch.export.save(exported, file)
    file.seek(0)
    again = torch.export.load(file).module()
    assert nets.same(nets.run(again, inputs), nets.run(model, inputs))


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_a_trace_has_its_chain_and_keeps_the_batch_open(nets):
    model, example = nets.made("lenet")
    with torch.no_grad():
        traced = torch.jit.trace(nets.fast("lenet"), (example(2, 0),))
    assert "rarefy::chain" in str(traced.inlined_graph)
    inputs = example(5, 0)
    assert nets.same(nets.run(traced, inputs), nets.run(model, inputs))


def test_a_gradient_with_respect_to_the_input_is_right_compiled_and_not(nets):
    model, example = nets.made("mlp")
    fast = nets.fast("mlp")
    torch._dynamo.reset()
    inputs = example(3, 0)
    wanted = inputs.clone().requires_grad_()
    model(wanted).sum().backward()
    for net in (fast, torch.compile(fast, backend="aot_eager", fullgraph=True)):
        found = inputs.clone().requires_grad_()
        net(found).sum().backward()
        assert torch.allclose(found.grad, wanted.grad, atol=1e-5)
    torch._dynamo.reset()


@pytest.mark.parametrize("name", ["mlp", "resnet", "encoder"])
def test_autocast_gives_what_the_model_gives(name, nets, chains):
    model, example = nets.made(name)
    fast = nets.fast(name)
    inputs = example(2, 7)
    chains()
    with torch.autocast("cpu", torch.bfloat16):
        found, wanted = nets.run(fast, inputs), nets.run(model, inputs)
    # Torch's fused encoder layer does not see autocast through a packed weight: it is exact there.
    assert found.dtype == (torch.float32 if name == "encoder" else wanted.dtype)
    assert torch.allclose(found.float(), wanted.float(), atol=0.1)
    assert chains() == 0


def test_inference_mode_is_fine(nets, chains):
    model, example = nets.made("mlp")
    fast = nets.fast("mlp")
    inputs = example(2, 0)
    chains()
    with torch.inference_mode():
        found = fast(inputs)
    assert chains() == 1
    assert torch.allclose(found, nets.run(model, inputs), atol=1e-5)


def test_a_counter_of_operations_sees_the_layers(nets):
    from rarefy.metrics import flops

    model, example = nets.made("mlp")
    inputs = example(2, 0)
    assert flops(nets.fast("mlp"), inputs).dense == flops(model, inputs).dense


def answer(fast, inputs, pipe):
    torch.set_num_threads(1)
    with torch.no_grad():
        pipe.send(fast(inputs).tolist())


@pytest.mark.slow
@pytest.mark.parametrize("start", ["spawn", "fork"])
def test_another_process_gives_the_same(start, nets, chains):
    model, example = nets.made("mlp")
    fast = nets.fast("mlp")
    inputs = example(2, 0)
    nets.run(fast, inputs)
    mine, theirs = multiprocessing.Pipe()
    context = torch.multiprocessing.get_context(start)
    process = context.Process(target=answer, args=(fast, inputs, theirs))
    process.start()
    assert mine.poll(60)
    found = torch.tensor(mine.recv())
    process.join(60)
    assert torch.allclose(found, nets.run(model, inputs), atol=1e-5)
    chains()
    nets.run(fast, inputs)  # sent weights moved to shared memory; that is no change
    assert chains() == 1
