"""Tables and charts of training on the page."""

import pytest
import torch

import rarefy
from rarefy.metrics import TrainingMeter
from rarefy.reports import _sections, report
from rarefy.reports._training_rows import byte_rows, charts, time_rows


@pytest.fixture(params=["masked", "compressed"])
def found(request, model):
    optimizer = torch.optim.AdamW(model.parameters(), 0.01)
    sparsifier = rarefy.sparsify(
        model, 0.5, "rigl", optimizer=optimizer, steps=20, storage=request.param, seed=0
    )
    with TrainingMeter(sparsifier) as meter:
        for _ in range(8):
            optimizer.zero_grad()
            model(torch.ones(3, 8)).square().mean().backward()
            optimizer.step()
    return report(sparsifier, torch.ones(3, 8), meter=meter)


def test_bytes_are_beside_the_dense_ones(found):
    rows = {row[0]: row[1:] for row in byte_rows(found.training).rows}
    masked = found.training.storage == "masked"
    assert rows["weights"] == (("272 B", "272 B") if masked else ("152 B", "272 B"))
    assert ("masks" in rows) == masked
    assert ("topology" in rows) != masked
    assert set(rows) >= {"gradients", "optimizer state", "together"}


def test_times_have_a_row_a_part_and_units(found):
    rows = {row[0]: row[1] for row in time_rows(found.training.metered).rows}
    assert {"whole step", "forward", "backward", "optimizer", "holding", "other"} <= set(rows)
    assert "topology update, where there is one" in rows
    assert all(text.endswith(("s", "ms", "µs", "ns")) for text in rows.values())


def test_charts_show_flops_and_time_along_the_schedule(found):
    drawn = charts(found.training)
    assert "milliseconds a step, by part" in drawn
    assert "FLOPs so far, in multiples of dense" in drawn
    assert ("(simulated)" in drawn) == (found.training.storage == "masked")


def test_the_page_has_them_in_its_section_on_training(found):
    text = _sections.body(found, set())
    after = text[text.index("<h2>Training") :]
    assert "part of a step" in after
    assert "peak resident" in after or found.training.metered.peak_resident is None
    assert found.training.label.split(";")[0] in after
