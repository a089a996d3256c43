"""Invariant 5: two ranks with different data hold the same masks, or say that they do not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

WORKER = Path(__file__).with_name("worker_ranks.py")
METHODS = ["set", "drawn", "rigl", "snfs", "gmp", "gmp_regrowing", "taylor"]
CASES = [
    *(f"masks_agree-{method}" for method in METHODS),
    *(f"accumulation-{method}" for method in ("set", "rigl", "snfs", "gmp")),
    "averages",
    *(f"unused-{method}" for method in ("rigl", "snfs")),
    "one_seed",
    *(f"divergence-{method}" for method in ("set", "rigl", "gmp", "start")),
    "drawn_before_wrapping",
    "overflow",
    *(f"resumed-{method}-{kind}" for method in METHODS for kind in ("sgd", "adamw")),
]
pytestmark = [pytest.mark.distributed, pytest.mark.slow]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What each rank says of each case: nothing, or a traceback. They run once, for all tests."""
    folder = tmp_path_factory.mktemp("ranks")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    logs = [folder / f"log_{rank}" for rank in (0, 1)]
    ranks = []
    for rank, log in enumerate(logs):
        with log.open("wb") as output:
            command = [sys.executable, str(WORKER), str(rank), str(folder)]
            ranks.append(subprocess.Popen(command, env=environment, stdout=output, stderr=output))
    try:
        for process in ranks:
            process.wait(timeout=200)
    finally:
        for process in ranks:
            process.kill()
            process.wait()
    found = []
    for rank, log in enumerate(logs):
        path = folder / f"outcome_{rank}.json"
        assert path.exists(), log.read_text()
        found.append(json.loads(path.read_text()))
    return found


@pytest.mark.parametrize("case", CASES)
def test_two_ranks(outcomes, case):
    for rank, outcome in enumerate(outcomes):
        assert case in outcome, f"rank {rank} came no further than {list(outcome)[-1]}"
        assert not outcome[case], f"rank {rank}:\n{outcome[case]}"


def test_no_case_is_left_out(outcomes):
    assert list(outcomes[0]) == list(outcomes[1])
    assert set(outcomes[0]) == set(CASES)
