"""Fashion-MNIST, LeNet-300-100: methods at equal budget, five seeds, paired differences.

    python benchmarks/methods/fashion_lenet.py            # runs what is missing, then prints
    python benchmarks/methods/fashion_lenet.py --table    # prints only

Each run is stored as soon as it is done, so the command can be stopped and started again.
"""

import argparse
import json
import platform
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy
import torch
from scipy import stats

import rarefy
from rarefy import growth
from rarefy.lab import tasks

RESULTS = Path(__file__).parents[1] / "results" / "fashion_lenet.json"
RUNS = [
    ("dense", 0.0),
    ("gmp", 0.9),
    *[
        (method, sparsity)
        for sparsity in (0.98, 0.99)
        for method in ("static", "set", "set, zero", "rigl", "snfs")
    ],
]
FROM_ZERO = growth.Random(decay="constant", drop=growth.smallest_of_each_sign)
"""SET with newcomers at zero, as in RigL's reference; its authors draw them, as the method does."""
EPOCHS = 12
SEEDS = range(5)


def run(method: str, sparsity: float, seed: int) -> dict[str, Any]:
    """Train and score one network."""
    torch.set_num_threads(1)
    task = tasks.fashion()
    model = task.build(seed=seed)

    def attach(optimizer: torch.optim.Optimizer, steps: int) -> rarefy.Sparsifier | None:
        if method == "dense":
            return None
        return rarefy.sparsify(
            model,
            sparsity,
            method.partition(",")[0],
            growth=FROM_ZERO if method == "set, zero" else None,
            optimizer=optimizer,
            steps=steps,
            seed=seed,
        )

    task.train(model, attach, epochs=EPOCHS, seed=seed)
    nonzero = sum(int((p != 0).sum()) for name, p in model.named_parameters() if p.dim() > 1)
    return {
        "method": method,
        "sparsity": sparsity,
        "seed": seed,
        "accuracy": 100 * task.evaluate(model)["accuracy"],
        "nonzero": nonzero,
    }


def key(method: str, sparsity: float, seed: int) -> str:
    """Name of one run in the results file."""
    return f"{method} {sparsity} {seed}"


def run_missing(jobs: int) -> dict[str, Any]:
    """Run what the results file does not hold yet, writing after each run."""
    done: dict[str, Any] = json.loads(RESULTS.read_text())["runs"] if RESULTS.exists() else {}
    missing = [(m, s, seed) for seed in SEEDS for m, s in RUNS if key(m, s, seed) not in done]
    with ProcessPoolExecutor(jobs) as pool:
        futures = [pool.submit(run, *each) for each in missing]
        for future in as_completed(futures):
            result = future.result()
            done[key(result["method"], result["sparsity"], result["seed"])] = result
            print(f"{len(done)}/{len(RUNS) * len(SEEDS)}", result, flush=True)
            write(done)
    return done


def write(done: dict[str, Any]) -> None:
    """Results, with what made them."""
    RESULTS.parent.mkdir(exist_ok=True)
    made_by = {
        "command": "python benchmarks/methods/fashion_lenet.py",
        "epochs": EPOCHS,
        "rarefy": rarefy.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": 1,
    }
    runs = {name: done[name] for name in sorted(done)}
    RESULTS.write_text(json.dumps({"made_by": made_by, "runs": runs}, indent=1) + "\n")


def accuracies(done: dict[str, Any], method: str, sparsity: float) -> numpy.ndarray[Any, Any]:
    """Accuracy in percent, one a seed."""
    return numpy.array([done[key(method, sparsity, seed)]["accuracy"] for seed in SEEDS])


def interval(values: numpy.ndarray[Any, Any]) -> float:
    """Half the width of the 95 % interval of the mean (Student)."""
    return float(stats.sem(values) * stats.t.ppf(0.975, len(values) - 1))


def table(done: dict[str, Any]) -> str:
    """Means with intervals, then the paired differences that the claims rest on."""
    lines = ["| method | sparsity | accuracy, % | nonzero weights |", "|---|---|---|---|"]
    for method, sparsity in RUNS:
        values = accuracies(done, method, sparsity)
        nonzero = done[key(method, sparsity, 0)]["nonzero"]
        lines.append(
            f"| {method} | {sparsity:.0%} | {values.mean():.2f} ± {interval(values):.2f} "
            f"| {nonzero:,} |"
        )
    lines += ["", "| difference, paired by seed | points |", "|---|---|"]
    pairs = [(("gmp", 0.9), ("dense", 0.0))]
    for sparsity in (0.99, 0.98):
        pairs += [
            (("rigl", sparsity), ("set", sparsity)),
            (("rigl", sparsity), ("set, zero", sparsity)),
            (("set", sparsity), ("static", sparsity)),
            (("rigl", sparsity), ("static", sparsity)),
            (("snfs", sparsity), ("static", sparsity)),
        ]
    for better, worse in pairs:
        gap = accuracies(done, *better) - accuracies(done, *worse)
        label = f"{better[0]} {better[1]:.0%} - {worse[0]} {worse[1]:.0%}"
        lines.append(f"| {label} | {gap.mean():+.2f} ± {interval(gap):.2f} |")
    return "\n".join(lines)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2, help="processes, one thread each")
    parser.add_argument("--table", action="store_true", help="only print what is stored")
    given = parser.parse_args()
    done = json.loads(RESULTS.read_text())["runs"] if given.table else run_missing(given.jobs)
    print(table(done))


if __name__ == "__main__":
    main()
