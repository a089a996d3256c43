"""PNG, read back by a reader of our own."""

import numpy as np

from rarefy.reports._png import png

RED, CLEAR = (255, 0, 0, 255), (0, 0, 255, 0)


def test_eight_bits_a_pixel(read_png):
    rows = np.array([[0, 1, 0], [1, 1, 0]], dtype=np.uint8)
    width, height, depth, colours, opacities, found = read_png(png(rows, 3, 8, [CLEAR, RED]))
    assert (width, height, depth) == (3, 2, 8)
    assert (colours, opacities) == (b"\x00\x00\xff\xff\x00\x00", b"\x00\xff")
    assert np.array_equal(found, rows)


def test_one_bit_a_pixel_with_a_row_that_ends_inside_a_byte(read_png):
    bits = np.array([[1, 0, 1, 1, 0, 0, 0, 1, 1]], dtype=bool)
    width, height, depth, _, _, found = read_png(png(np.packbits(bits, axis=1), 9, 1, [CLEAR, RED]))
    assert (width, height, depth) == (9, 1, 1)
    assert np.array_equal(np.unpackbits(found, axis=1)[:, :9], bits)
