"""First-order scores, by hand: loss (w1 x1 + w2 x2 - 1)^2 at w = (2, -1), x = (1, 3)."""

import torch

from rarefy.scores import gradient, taylor

WEIGHT = torch.tensor([2.0, -1.0])
GRADIENT = torch.tensor([-4.0, -12.0])  # 2 (2 - 3 - 1) x


def test_the_gradient_by_hand_is_autograds():
    weight = WEIGHT.clone().requires_grad_()
    ((weight @ torch.tensor([1.0, 3.0]) - 1) ** 2).backward()
    assert torch.equal(weight.grad, GRADIENT)


def test_gradient_is_its_size():
    assert gradient(GRADIENT).tolist() == [4.0, 12.0]


def test_taylor_is_the_size_of_the_product():
    assert taylor(WEIGHT, GRADIENT).tolist() == [8.0, 12.0]


def test_taylor_of_a_zero_weight_is_zero_whatever_its_gradient():
    assert taylor(torch.zeros(2), GRADIENT).tolist() == [0.0, 0.0]
