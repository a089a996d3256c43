"""What ranks say to each other, alone and on two gloo processes."""

import json
import os
import subprocess
import sys
import textwrap

import pytest
import torch

from rarefy.communication import check_agreement, mean_over_ranks_, same_seed, world_size
from rarefy.communication._agree import checksum

WORKER = textwrap.dedent(
    """
    import json, sys
    import torch
    from torch import distributed, nn
    import rarefy
    from rarefy.communication import check_agreement, mean_over_ranks_, same_seed, world_size

    rank, meeting, answer = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    found = {"world": world_size(), "seed": same_seed(11 + rank)}

    means = {}
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        tensor = torch.tensor([1.0, 2.0 + 4 * rank], dtype=dtype)
        turned = torch.full((2, 3), float(rank), dtype=dtype).T
        mean_over_ranks_(tensor)
        mean_over_ranks_(turned)
        means[str(dtype)] = [tensor.tolist(), turned.unique().tolist()]
    found["means"] = means

    same = {"a": torch.tensor([True, False])}
    check_agreement(same, step=3)
    try:
        check_agreement({"a": torch.tensor([True, rank == 0])}, step=4)
    except rarefy.errors.InvariantError as error:
        found["said"] = str(error)

    torch.manual_seed(100 + rank)
    model = nn.Linear(8, 8)
    static = rarefy.sparsify(model, 0.75, "static")
    found["static"] = static.masks["weight"].int().flatten().tolist()
    try:
        rarefy.sparsify(nn.Linear(8, 8), 0.75)  # other weights on each rank
    except rarefy.errors.InvariantError as error:
        found["magnitude"] = str(error)

    torch.manual_seed(0)
    model = nn.Linear(4, 2)
    data = [(torch.full((3, 4), 1.0 + rank), torch.tensor([0, 1, rank]))]
    pruned = rarefy.sparsify(model, 0.5, "taylor", data=data)
    found["taylor"] = pruned.masks["weight"].int().flatten().tolist()
    with open(answer, "w") as file:
        json.dump(found, file)
    distributed.destroy_process_group()
    """
)


def on_two(test):
    """Marks a test of what two processes found."""
    return pytest.mark.distributed(pytest.mark.slow(test))


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    (folder / "worker.py").write_text(WORKER)
    meeting = (folder / "meeting").as_uri()
    answers = [folder / f"{rank}.json" for rank in (0, 1)]
    workers = [
        subprocess.Popen(
            [sys.executable, folder / "worker.py", str(rank), meeting, answers[rank]],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        for rank in (0, 1)
    ]
    said = [worker.communicate(timeout=120)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], "\n".join(said)
    return [json.loads(answer.read_text()) for answer in answers]


def test_alone_nothing_is_said():
    tensor = torch.tensor([1.0, 2.0])
    mean_over_ranks_(tensor)
    assert tensor.tolist() == [1.0, 2.0]
    assert world_size() == 1
    assert same_seed(7) == 7
    check_agreement({"a": torch.tensor([True])}, step=0)


def test_a_checksum_tells_masks_names_shapes_and_order_apart():
    one = torch.tensor([[True, False], [False, False]])
    sums = [
        checksum({"a": one, "b": one}),
        checksum({"a": one, "c": one}),
        checksum({"a": one, "b": ~one}),
        checksum({"a": one.flatten(), "b": one}),
        checksum({"a": one}),
        checksum({}),
    ]
    assert len(set(sums)) == len(sums)
    assert checksum({"a": one.clone(), "b": one.clone()}) == sums[0]
    assert all(-(2**63) <= each < 2**63 for each in sums)


@on_two
def test_both_see_two(ranks):
    assert [each["world"] for each in ranks] == [2, 2]


@on_two
def test_the_seed_is_rank_zeros(ranks):
    assert [each["seed"] for each in ranks] == [11, 11]


@on_two
def test_a_mean_is_the_same_on_both_for_every_dtype_and_layout(ranks):
    for each in ranks:
        assert all(mean == [[1.0, 4.0], [0.5]] for mean in each["means"].values())
    assert len(ranks[0]["means"]) == 3


@on_two
def test_disagreement_raises_on_both_and_names_the_ranks(ranks):
    for each in ranks:
        assert "step 4: ranks [1] chose other masks than rank 0" in each["said"]
        assert "DistributedDataParallel" in each["said"]


@on_two
def test_a_random_mask_is_drawn_alike_though_their_own_seeds_differ(ranks):
    assert ranks[0]["static"] == ranks[1]["static"]
    assert sum(ranks[0]["static"]) == 16


@on_two
def test_masks_of_different_weights_are_refused_on_both(ranks):
    assert all("chose other masks" in each["magnitude"] for each in ranks)


@on_two
def test_evidence_is_averaged_so_that_masks_agree(ranks):
    assert ranks[0]["taylor"] == ranks[1]["taylor"]
    assert sum(ranks[0]["taylor"]) == 4
