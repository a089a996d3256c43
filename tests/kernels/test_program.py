"""Programs: read as written, written as read, and every mistake told in one line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rarefy.errors import FileError
from rarefy.kernels import Place, Step, steps, text

ALL = """rarefy 1
input r0 rank=4
input r1 rank=4
conv r2 r0 w=0:8x4x3x3 b=- stride=1,2 pad=1,0
conv r3 r1 w=1:8x4x1x1 b=2 stride=1,1 pad=0,0
affine r4 r2 s=3:8
relu r5 r4
gelu r6 r5
gelu_tanh r7 r6
silu r8 r7
clamp r9 r8 lo=0.0 hi=6.0
clamp r10 r9 lo=-inf hi=1e-07
add r11 r10 r3
mul r12 r11 r3
max_pool r13 r12 size=3,3 stride=2,2 pad=1,1
mean r14 r13
flatten r15 r14
linear r16 r15 w=4:16x8 b=5
norm r17 r16 p=6:16 eps=1e-05
output r17
output r14"""


def program(*lines):
    return "\n".join(["rarefy 1", "input r0 rank=4", *lines])


def test_every_step_is_read_and_written_back_the_same():
    found = steps(ALL)
    assert len(found) == len(ALL.splitlines()) - 1
    assert text(found) == ALL
    assert steps(text(found)) == found


def test_a_step_holds_what_its_line_says():
    found = steps(ALL)
    assert found[0] == Step("input", 0, (), {"rank": 4})
    assert found[2].inputs == (0,)
    assert found[2].options == {
        "w": Place(0, (8, 4, 3, 3)),
        "b": None,
        "stride": (1, 2),
        "pad": (1, 0),
    }
    assert found[3].options["b"] == 2
    assert found[10].options == {"lo": float("-inf"), "hi": 1e-7}
    assert found[-1] == Step("output", -1, (14,))


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (["frobnicate r1 r0", "output r1"], "line 3 .*no such step.*add, affine"),
        (["relu r1 r1", "output r1"], "r1 is read before it is made"),
        (["relu r2 r0", "output r2"], "this one is r1"),
        (["relu r0 r0", "output r0"], "this one is r1"),
        (["relu r1", "output r1"], "reads 1 registers, not 0"),
        (["relu r1 r0 r0", "output r1"], "reads 1 registers, not 2"),
        (["relu", "output r0"], "names no register"),
        (["relu r1 x0", "output r1"], "'x0' is no register"),
        (["relu r01 r0", "output r1"], "write it as 'relu r1 r0'"),
        (["relu  r1 r0", "output r1"], "''"),
        (["relu r1 r0 a=1", "output r1"], "no option 'a'"),
        (["relu a=1 r1 r0", "output r1"], "no option 'a'"),
        (["relu r99999999999999 r0", "output r1"], "no whole number"),
        (["relu r1 r0", "input r2 rank=4", "output r1"], "inputs stand first"),
        (["relu r1 r0", "output r1", "relu r2 r0"], "outputs stand last"),
        (["relu r1 r0"], "without an 'output' line"),
        (["output r0"], "an input cannot leave"),
        (["relu r1 r0", "output r1", "output r1"], "leaves once"),
        (["relu r1 r0", "output r1", ""], "no such step"),
        (["linear r1 r0 w=0:3x4", "output r1"], "takes the options w, b"),
        (["linear r1 r0 b=- w=0:3x4", "output r1"], "takes the options w, b"),
        (["linear r1 r0 w=0:3 b=-", "output r1"], "no section and shape of 2 sides"),
        (["linear r1 r0 w=0:3xx4 b=-", "output r1"], "'' is no whole number"),
        (["linear r1 r0 w=3x4 b=-", "output r1"], "no section and shape"),
        (["linear r1 r0 w=-1:3x4 b=-", "output r1"], "'-1' is no whole number"),
        (["linear r1 r0 w=0:3x4 b=x", "output r1"], "'x' is no whole number"),
        (["conv r1 r0 w=0:3x0x1x1 b=- stride=1,1 pad=0,0", "output r1"], "no shape of a conv"),
        (["conv r1 r0 w=0:3x4x9999x1 b=- stride=1,1 pad=0,0", "output r1"], "no shape of a conv"),
        (["conv r1 r0 w=0:3x4x1x1 b=- stride=0,1 pad=0,0", "output r1"], "from 1 to 1024"),
        (["conv r1 r0 w=0:3x4x1x1 b=- stride=1 pad=0,0", "output r1"], "no pair of height"),
        (["clamp r1 r0 lo=nan hi=1.0", "output r1"], "'nan' is no number"),
        (["clamp r1 r0 lo=zero hi=1.0", "output r1"], "'zero' is no number"),
        (["clamp r1 r0 lo=2.0 hi=1.0", "output r1"], "lo is above hi"),
        (["clamp r1 r0 lo=0 hi=1.0", "output r1"], "write it as 'clamp r1 r0 lo=0.0 hi=1.0'"),
        (["norm r1 r0 p=0:3 eps=-1.0", "output r1"], "eps is finite and not below 0"),
        (["max_pool r1 r0 size=2,2 stride=1,1 pad=2,0", "output r1"], "more than half of size"),
        (["flatten r1 r0", "conv r2 r1 w=0:3x4x1x1 b=- stride=1,1 pad=0,0"], "takes 4"),
        (["flatten r1 r0", "add r2 r1 r0", "output r2"], "of 2 and 4 sides"),
    ],
)
def test_a_mistake_is_told_with_its_line(lines, why):
    with pytest.raises(FileError, match=why) as told:
        steps(program(*lines))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("rank", ["0", "7", "-1", "", "2.0"])
def test_the_number_of_sides_is_one_to_six(rank):
    with pytest.raises(FileError, match="from 1 to 6"):
        steps(f"rarefy 1\ninput r0 rank={rank}\nrelu r1 r0\noutput r1")


@pytest.mark.parametrize("wrong", ["", "rarefy 2\nrelu r1 r0", "\nrarefy 1", "rarefy 1 "])
def test_another_version_is_refused(wrong):
    with pytest.raises(FileError, match="begins with the line 'rarefy 1'"):
        steps(wrong)


def test_a_program_of_too_many_steps_is_refused():
    with pytest.raises(FileError, match="at most 65536 steps"):
        steps("rarefy 1" + "\nrelu r1 r0" * 70000)


def test_steps_that_would_not_be_read_are_not_written():
    with pytest.raises(FileError, match="before it is made"):
        text([Step("input", 0, (), {"rank": 1}), Step("relu", 1, (5,)), Step("output", -1, (1,))])


@given(st.data())
def test_damage_is_one_error_or_another_sound_program(data):
    place = data.draw(st.integers(0, len(ALL) - 1))
    length = data.draw(st.integers(0, 3))
    changed = ALL[:place] + data.draw(st.text(max_size=3)) + ALL[place + length :]
    try:
        found = steps(changed)
    except FileError as told:
        assert "\n" not in str(told)  # noqa: PT017 - either outcome is right
    else:
        assert text(found) == changed
