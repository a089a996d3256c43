"""Single elements."""

import torch

from rarefy.patterns import Unstructured


def test_equal_elements_are_kept_from_the_front():
    kept = Unstructured().choose(torch.ones(1, 2, 3, 1), 4)
    assert kept.flatten().tolist() == [True, True, True, True, False, False]


def test_outputs_inputs_and_kernel_can_be_permuted():
    torch.manual_seed(0)
    scores = torch.rand(6, 4, 3)
    turned = scores[torch.randperm(6)][:, torch.randperm(4)][:, :, torch.randperm(3)]
    mask, other = Unstructured().of(scores, 0.6), Unstructured().of(turned, 0.6)
    assert set(scores[mask].tolist()) == set(turned[other].tolist())
