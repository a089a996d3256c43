"""The first use of a step: the library is trusted if it gives what the twin gives."""

import pytest
import torch

from rarefy import _native
from rarefy.errors import FileError
from rarefy.kernels import _trial, floats, join, pack, quantize, read
from rarefy.kernels._program import _FORMS
from rarefy.kernels._twin import twin

RELU = "rarefy 1\ninput r0 rank=2\nrelu r1 r0\noutput r1"
BOTH = "rarefy 1\ninput r0 rank=2\nrelu r1 r0\ngelu r2 r1\noutput r2"
NOTHING = join([])
here = _trial.is_here()


class Paper:
    """A library whose every chain is run by the twin, but for the steps it does not know well."""

    wrong = ()
    error = 0.25
    refused = ()
    refused_kinds = ()

    def __init__(self, packed, program):
        Paper.programs.append(program)
        kinds = [_trial._kind_of(s.data) for s in read(packed) if s.kind == "quantized"]
        if any(f"\n{op} " in program for op in self.refused) or {*kinds} & {*self.refused_kinds}:
            raise FileError("it says no")
        self.chain = packed, program

    def run(self, inputs):
        """What the twin gives, or something a little else."""
        packed, program = self.chain
        found = twin(inputs, packed, program)
        if any(f"\n{op} " in program for op in self.wrong):
            found[0].view(-1)[-1] += self.error
        return found


@pytest.fixture
def paper(monkeypatch):
    """The paper library in the place of the compiled one, nothing tried yet."""
    monkeypatch.setattr(_trial, "Native", Paper)
    monkeypatch.setattr(_trial, "is_here", lambda: True)
    monkeypatch.setattr(_trial, "_trusted", {})
    monkeypatch.setattr(_native, "_disabled", {})
    monkeypatch.setattr(Paper, "programs", [], raising=False)
    return monkeypatch


@pytest.mark.usefixtures("paper")
def test_there_is_a_case_for_every_step():
    assert set(_trial._CASES) == set(_FORMS) - {"input", "output"}
    assert all(_trial._trust(op) for op in _trial._CASES)
    assert "switched off" not in _native.status()


@pytest.mark.usefixtures("paper")
def test_a_step_is_tried_once():
    assert _trial.trusted(NOTHING, RELU)
    count = len(Paper.programs)
    assert count > 0
    assert _trial.trusted(NOTHING, RELU)
    assert len(Paper.programs) == count


@pytest.mark.parametrize("fault", ["wrong", "refused"])
def test_a_step_that_is_wrong_is_off_and_said_so(paper, fault):
    paper.setattr(Paper, fault, ("gelu",))
    assert not _trial.trusted(NOTHING, BOTH)
    assert _trial.trusted(NOTHING, RELU)
    assert "step 'gelu'" in _native.status()
    assert "so its reference runs: on a tiny case" in _native.status()


@pytest.mark.parametrize("op", ["linear", "conv"])
def test_a_product_that_lacks_one_weight_is_seen(paper, op):
    paper.setattr(Paper, "wrong", (op,))
    paper.setattr(Paper, "error", 1.0)
    assert not _trial._trust(op)


@pytest.mark.usefixtures("paper")
def test_torch_in_lower_precision_is_no_reason_to_mistrust():
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        assert _trial._trust("linear")
        assert _trial._trust("conv")
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("kind", ["w8a8", "bf16"])
def test_low_precision_is_a_step_of_its_own(paper, kind):
    program = "rarefy 1\ninput r0 rank=2\nlinear r1 r0 w=0:3x4 b=1\noutput r1"
    weight, bias = torch.ones(3, 4), floats(torch.ones(3))
    paper.setattr(Paper, "refused_kinds", (kind,))
    assert not _trial.trusted(join([quantize(weight, None, kind), bias]), program)
    assert _trial.trusted(join([quantize(weight, None, "w16a16"), bias]), program)
    assert _trial.trusted(join([pack(weight), bias]), program)
    assert f"linear in {kind}" in _native.status()


def test_without_the_library_nothing_is_tried(paper):
    paper.setattr(_trial, "is_here", lambda: False)
    assert not _trial.trusted(NOTHING, RELU)
    assert not Paper.programs


@pytest.mark.skipif(not here, reason="the library does not run chains")
@pytest.mark.native
@pytest.mark.parametrize("op", list(_trial._CASES))
def test_the_library_is_right_in_every_step(op):
    assert all(_trial._agrees(*case) for case in _trial._CASES[op])
