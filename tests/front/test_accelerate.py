"""``rarefy.accelerate``: the verb, its errors, and what it returns, with real timings."""

import copy

import pytest
import torch
from torch import nn

import rarefy
from rarefy.errors import AttachError, BudgetError, EvidenceError, TargetError, UnknownName


@pytest.fixture(autouse=True)
def no_file_of_timings(monkeypatch):
    monkeypatch.setenv("RAREFY_TIMINGS", "off")


@pytest.fixture
def net():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 8))
    rarefy.sparsify(net, 0.9).finalize()
    return net.eval()


def test_the_copy_is_right_whatever_was_faster(net):
    example = torch.randn(3, 16)
    fast = rarefy.accelerate(net, example)
    for batch in (1, 3, 64):
        x = torch.randn(batch, 16)
        with torch.no_grad():
            assert torch.allclose(fast(x), net(x), atol=1e-5)
    record = fast.record
    assert [row["name"] for row in record["layers"]] == ["0.weight", "2.weight"]
    assert record["batch"] == 3
    assert all(row["dense"] > 0 and row["why"] for row in record["layers"] if row["input"])
    assert record["time"]["dense"] > 0
    assert "0.weight" in str(fast.explain())
    assert fast.explain().to_dict() == record


def test_wrapped_models_are_opened(net):
    x = torch.randn(2, 16)
    for wrapped in (nn.DataParallel(net), torch.compile(net, backend="eager")):
        fast = rarefy.accelerate(wrapped, x)
        assert type(fast).__name__ == "Sequential"
        assert list(fast.state_dict()) == list(net.state_dict())


def test_a_driven_model_goes_on_training(net):
    net.train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    sparsifier = rarefy.hold(net, optimizer=optimizer)
    x = torch.randn(4, 16)
    fast = rarefy.accelerate(net, x)
    with torch.no_grad():
        before = fast(x)
    net(x).sum().backward()
    optimizer.step()
    sparsifier.check()
    assert sparsifier.step == 1
    with torch.no_grad():
        assert torch.equal(fast(x), before)
    sparsifier.detach()


def test_it_does_not_train(net):
    fast = rarefy.accelerate(net, torch.randn(2, 16))
    with pytest.raises(AttachError, match=r'storage="compressed"'):
        fast.train()
    with pytest.raises(AttachError, match=r'storage="compressed"'):
        fast.requires_grad_()
    with pytest.raises(AttachError, match=r'storage="compressed".*no_grad'):
        fast(torch.randn(2, 16)).sum().backward()
    assert fast.eval() is fast
    with torch.no_grad():
        assert not fast(torch.randn(2, 16)).requires_grad
    with pytest.raises(AttachError, match="accelerated one already"):
        rarefy.accelerate(fast, torch.randn(2, 16))


def test_what_is_asked_wrongly_is_refused(net):
    x = torch.randn(2, 16)
    with pytest.raises(UnknownName, match="latency, memory"):
        rarefy.accelerate(net, x, goal="speed")
    with pytest.raises(UnknownName, match="float32, int8, bfloat16"):
        rarefy.accelerate(net, x, precision="int4")
    with pytest.raises(EvidenceError, match="data="):
        rarefy.accelerate(net, x, precision="int8")
    with pytest.raises(BudgetError, match="margin"):
        rarefy.accelerate(net, x, margin=-1)
    with pytest.raises(TargetError, match=r"torch\.nn\.Module"):
        rarefy.accelerate(x, net)
    with pytest.raises(TargetError, match="meta"):
        rarefy.accelerate(copy.deepcopy(net).to("meta"), x)


def test_a_dense_model_is_no_error():
    dense = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 8)).eval()
    x = torch.randn(2, 16)
    fast = rarefy.accelerate(dense, x)
    with torch.no_grad():
        assert torch.equal(fast(x), dense(x))
    assert not any(row["kept"] for row in fast.record["layers"])
    assert "no weight is sparse enough" in str(fast.explain())


def test_low_precision_is_told_with_its_cost(net):
    data = [torch.randn(8, 16) for _ in range(2)]
    fast = rarefy.accelerate(net, torch.randn(2, 16), precision="bfloat16", data=data, margin=0.0)
    cost = fast.record["accuracy"]
    assert cost["batches"] == 2
    assert 0 <= cost["relative_error"] < 0.02
    assert "bfloat16" in str(fast.explain())


def test_what_was_saved_is_loaded_as_it_ran(net, tmp_path):
    x = torch.randn(3, 16)
    fast = rarefy.accelerate(net, x, goal="memory")
    assert all(row["kept"] for row in fast.record["layers"])
    rarefy.save(fast, tmp_path / "fast.safetensors")
    fresh = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 8))
    again = rarefy.load(tmp_path / "fast.safetensors", fresh)
    with torch.no_grad():
        assert torch.equal(again(x), fast(x))
    assert again.record == fast.record
    assert torch.equal(fresh[0].weight, net[0].weight)
