"""``python -m rarefy``."""

import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--version"], 0, "rarefy 0."),
        (["inspect", "absent"], 1, "rarefy: absent cannot be read"),
        (["absent"], 2, "Usage: rarefy"),
    ],
)
def test_it_is_the_command(words, code, said):
    answer = subprocess.run(
        [sys.executable, "-m", "rarefy", *words], capture_output=True, text=True, check=False
    )
    assert answer.returncode == code
    assert said in answer.stdout + answer.stderr
    assert "Traceback" not in answer.stderr
