"""How a convolution reads its image: what its matrix of weights does not say."""

from dataclasses import dataclass, fields

from rarefy.errors import PatternError

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Geometry:
    """A convolution of one group over two dimensions of the image, zeros around it.

    Each number is a (down, across). What is padded in another way, or not alike on both sides, is
    padded before it gets here.

    >>> Geometry((3, 3), padding=(1, 1)).text()
    '3x3 1x1 1x1 1x1'
    >>> Geometry((3, 3), stride=(2, 1)).image((9, 9))
    (4, 7)
    """

    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)

    def image(self, image: Pair) -> Pair:
        """Height and width of what comes out for an image of this height and width.

        Raises:
            PatternError: The kernel is larger than the image with its padding.
        """
        reaches = [d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True)]
        spare = [
            side + 2 * around - reach
            for side, around, reach in zip(image, self.padding, reaches, strict=True)
        ]
        if min(spare) < 0:
            raise PatternError(
                f"a kernel that reaches over {reaches[0]} x {reaches[1]} places does not fit an "
                f"image of {image[0]} x {image[1]} padded by {self.padding}: give larger images "
                "or more padding."
            )
        return spare[0] // self.stride[0] + 1, spare[1] // self.stride[1] + 1

    def text(self) -> str:
        """The geometry in one line, as operators carry it."""
        pairs = [getattr(self, field.name) for field in fields(self)]
        return " ".join(f"{down}x{across}" for down, across in pairs)

    @classmethod
    def of_text(cls, text: str) -> "Geometry":
        """The geometry that :meth:`text` wrote."""
        pairs = [tuple(int(side) for side in pair.split("x")) for pair in text.split()]
        (kernel, stride, padding, dilation) = ((down, across) for down, across in pairs)
        return cls(kernel, stride, padding, dilation)
