"""A score of your own is one function: evidence by name in, one number for each weight out."""

import torch
from torch import Tensor, nn

import rarefy


def relative_magnitude(weight: Tensor) -> Tensor:
    """|w| against the other inputs of its neuron, so that quiet neurons keep some too."""
    size = weight.abs()
    whole = size.sum(dim=2, keepdim=True)  # over inputs, of groups x outputs x inputs x kernel
    return size / whole.clamp_min(1e-12)


def main() -> None:
    """Prune the same network with it and with magnitude; count what each neuron keeps."""
    for score in ("magnitude", relative_magnitude):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
        with torch.no_grad():
            model[0].weight *= torch.linspace(0.1, 1.0, 32)[:, None]  # some neurons are quiet
        sparsifier = rarefy.sparsify(model, 0.9, score, allocation="uniform")
        inputs = sparsifier.masks["0.weight"].sum(dim=1)
        print(
            f"{sparsifier.words['score']:>18}: {sparsifier.masks.kept} of {sparsifier.masks.size} "
            f"weights kept, {int((inputs == 0).sum())} of 32 neurons lost all their inputs"
        )


if __name__ == "__main__":
    main()
