"""One run, from a fresh network to its score."""

from functools import partial

import pytest
import torch

from rarefy.errors import AttachError, BudgetError, FileError, ScoreError, StateError
from rarefy.lab import Setup, run, setup_of

METHODS = ["dense", "gmp", "rigl", "set", "snfs", "static"]


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def of(tiny, method, **more):
    return setup_of(tiny, method, 0.0 if method == "dense" else 0.75, **more)


class StoppedError(Exception):
    """The process was killed."""


def stop_at(step, now, steps):
    del steps
    if now == step:
        raise StoppedError


@pytest.mark.parametrize("method", METHODS)
def test_asked_is_kept_and_scored(tiny, method):
    outcome = run(of(tiny, method))
    assert outcome.sparsifier.masks.size == 180
    assert outcome.sparsifier.masks.kept == (180 if method == "dense" else 45)
    assert outcome.sparsifier.step == 40
    assert outcome.score == tiny.evaluate(outcome.model)
    assert any("loss" in record for record in outcome.sparsifier.history)
    assert outcome.seconds > 0


def test_the_dense_control_is_dense_training_to_the_bit(tiny):
    plain = tiny.build()
    tiny.train(plain, lambda *_, **__: None)
    outcome = run(of(tiny, "dense"))
    assert torch.equal(weights(outcome.model), weights(plain))


def test_the_same_seed_gives_the_same_model(tiny):
    one, two, other = (run(of(tiny, "rigl", seed=seed)) for seed in (1, 1, 2))
    assert torch.equal(weights(one.model), weights(two.model))
    assert not torch.equal(weights(one.model), weights(other.model))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("step", [1, 2, 17, 40])
def test_stopped_and_resumed_equals_uninterrupted(tiny, method, step, tmp_path):
    checkpoint = tmp_path / "run" / "checkpoint.pt"
    whole = run(of(tiny, method))
    with pytest.raises(StoppedError):
        run(of(tiny, method), checkpoint=checkpoint, watch=partial(stop_at, step))
    steps = []
    again = run(
        of(tiny, method),
        checkpoint=checkpoint,
        resume=True,
        watch=lambda now, _: steps.append(now),
    )
    # Saved every second step, after the watcher was told: the last whole one is before.
    assert steps == list(range((step - 1) // 2 * 2 + 1, 41))
    assert torch.equal(weights(again.model), weights(whole.model))
    assert again.sparsifier.history == whole.sparsifier.history
    assert all(
        torch.equal(mask, whole.sparsifier.masks[name])
        for name, mask in again.sparsifier.masks.items()
    )
    assert not checkpoint.exists()


def test_resume_without_a_checkpoint_begins(tiny, tmp_path):
    outcome = run(of(tiny, "static"), checkpoint=tmp_path / "c.pt", resume=True)
    assert outcome.sparsifier.step == 40


def test_a_checkpoint_of_another_run_is_refused(tiny, tmp_path):
    checkpoint = tmp_path / "c.pt"
    with pytest.raises(StoppedError):
        run(of(tiny, "rigl"), checkpoint=checkpoint, watch=partial(stop_at, 5))
    with pytest.raises(StateError, match="seed was 0, is 1"):
        run(of(tiny, "rigl", seed=1), checkpoint=checkpoint, resume=True)
    with pytest.raises(StateError, match="40 steps"):
        run(of(tiny, "rigl", epochs=5), checkpoint=checkpoint, resume=True)


def test_a_folder_that_cannot_be_written_is_known_before_training(tiny, tmp_path):
    (tmp_path / "file").write_text("")
    steps = []
    with pytest.raises(FileError, match="cannot be made"):
        run(
            of(tiny, "rigl"),
            checkpoint=tmp_path / "file" / "c.pt",
            watch=lambda *now: steps.append(now),
        )
    assert not steps


def test_what_the_library_refuses_leaves_no_folder(tiny, tmp_path):
    with pytest.raises(BudgetError, match=r"0\.9"):
        run(setup_of(tiny, "rigl", 90), checkpoint=tmp_path / "run" / "c.pt")
    assert not (tmp_path / "run").exists()


def own(train, evaluate=None):
    return Setup(
        task="own",
        build=lambda: torch.nn.Linear(4, 4),
        train=train,
        evaluate=evaluate,
        method="static",
        sparsity=0.5,
    )


def train_two(model, attach, start=0):
    """A training function with one optimizer for the weight and one for the bias."""
    weight = torch.optim.SGD([model.weight], 0.1, momentum=0.9)
    bias = torch.optim.Adam([model.bias], 0.1)
    attach([weight, bias], steps=30)
    for step in range(start, 30):
        generator = torch.Generator().manual_seed(step)
        loss = model(torch.randn(8, 4, generator=generator)).square().mean()
        for optimizer in (weight, bias):
            optimizer.zero_grad()
        loss.backward()
        weight.step()
        bias.step()


@pytest.mark.parametrize("step", [1, 9, 30])
def test_several_optimizers_resume_too(step, tmp_path):
    torch.manual_seed(0)
    first = torch.nn.Linear(4, 4).state_dict()

    def build():
        model = torch.nn.Linear(4, 4)
        model.load_state_dict(first)
        return model

    setup = Setup(task="own", build=build, train=train_two, method="static", sparsity=0.5)
    whole = run(setup)
    with pytest.raises(StoppedError):
        run(setup, checkpoint=tmp_path / "c.pt", watch=partial(stop_at, step))
    again = run(setup, checkpoint=tmp_path / "c.pt", resume=True)
    assert torch.equal(weights(again.model), weights(whole.model))


def test_a_training_function_that_never_attaches_is_told(tmp_path):
    with pytest.raises(AttachError, match="without calling attach"):
        run(own(lambda model, attach, start=0: None), checkpoint=tmp_path / "c.pt")  # noqa: ARG005


def test_attach_is_called_once():
    def twice(model, attach, start=0):
        del start
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        attach(optimizer, steps=30)
        attach(optimizer, steps=30)

    with pytest.raises(AttachError, match="twice"):
        run(own(twice))


@pytest.mark.parametrize(
    ("given", "wanted"), [(0.5, {"score": 0.5}), ({"a": 1, "b": 2.5}, {"a": 1.0, "b": 2.5})]
)
def test_a_score_is_a_number_or_numbers(given, wanted):
    assert run(own(train_two, lambda _: given)).score == wanted


def test_a_score_that_is_no_number_is_refused():
    with pytest.raises(ScoreError, match="evaluate"):
        run(own(train_two, lambda _: "good"))


@pytest.mark.parametrize("step", [1, 10, 11, 40])
def test_a_compressed_run_resumes_to_the_same_bits(tiny, step, tmp_path):
    setup = of(tiny, "rigl", storage="compressed")
    whole = run(setup)
    with pytest.raises(StoppedError):
        run(setup, checkpoint=tmp_path / "c.pt", watch=partial(stop_at, step))
    again = run(setup, checkpoint=tmp_path / "c.pt", resume=True)
    assert torch.equal(weights(again.model), weights(whole.model))
    assert all(torch.equal(whole.sparsifier.masks[n], m) for n, m in again.sparsifier.masks.items())
    assert whole.training.storage == "compressed"


def test_a_stopped_run_does_not_go_on_in_another_storage(tiny, tmp_path):
    with pytest.raises(StoppedError):
        run(of(tiny, "rigl"), checkpoint=tmp_path / "c.pt", watch=partial(stop_at, 5))
    with pytest.raises(StateError, match="storage was not given, is compressed"):
        run(of(tiny, "rigl", storage="compressed"), checkpoint=tmp_path / "c.pt", resume=True)


def test_the_meter_is_on_where_it_is_asked_for_and_changes_nothing(tiny):
    metered, plain = run(of(tiny, "rigl"), metered=True), run(of(tiny, "rigl"))
    assert torch.equal(weights(metered.model), weights(plain.model))
    assert metered.training.metered.steps == 40
    assert plain.training.metered is None
    assert run(of(tiny, "dense")).training.storage == "dense"
