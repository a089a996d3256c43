"""A data set says what it is without printing its tensors."""


def test_it_shows_its_size(tiny):
    assert repr(tiny.data) == "Data(60 samples and 30 test samples of 6 numbers, 3 classes)"
