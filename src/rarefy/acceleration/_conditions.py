"""What a traced graph assumes of its inputs' sizes: read, checked, and turned into a function.

``torch.export`` tells it as Python text, such as ``L['x'].size()[1] == L['m'].size()[1]``. The text
is read by a grammar of sizes, whole numbers and comparisons; nothing else of it is ever run.
"""

import ast
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Sizes = Mapping[str, Sequence[int]]
"""Shape of each tensor argument, by its name."""


_LONGEST = 2000
"""Letters of a condition: far more than any model has made, few enough to parse."""


class Unreadable(Exception):  # noqa: N818 - says why there is no capture; users do not meet it
    """A condition that is not of the known kind."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One assumption; ``text`` is as it was told, ``holds`` says whether sizes fulfil it."""

    text: str
    holds: Callable[[Sizes], bool] = field(compare=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return condition, (self.text,)


def condition(text: str) -> Condition:
    """The condition that the text tells.

    Raises:
        Unreadable: It is more than sizes, whole numbers and comparisons.

    >>> condition("L['x'].size()[0] == 2 * L['y'].size()[1]").holds({"x": (6, 1), "y": (4, 3)})
    True
    """
    if len(text) > _LONGEST:
        raise Unreadable(text[:_LONGEST])
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise Unreadable(text) from error
    # A function, not an expression to evaluate: torch.compile looks into it.
    module = ast.parse("def holds(sizes): return True")
    inner = module.body[0]
    assert isinstance(inner, ast.FunctionDef)
    inner.body = [ast.Return(_Rewrite(text).visit(tree.body))]
    space: dict[str, Any] = {"__builtins__": {"max": max, "min": min}}
    exec(compile(ast.fix_missing_locations(module), "<sizes>", "exec"), space)  # our own grammar
    return Condition(text, space["holds"])


def conditions(texts: Iterable[str]) -> tuple[Condition, ...]:
    """Each text once, read."""
    return tuple(condition(text) for text in dict.fromkeys(texts))


_ALLOWED = (
    ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.BinOp, ast.Add, ast.Sub,
    ast.Mult, ast.FloorDiv, ast.Mod, ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt,
    ast.GtE,
)  # fmt: skip


class _Rewrite(ast.NodeTransformer):
    """Lets the grammar through and turns ``L['x'].size()[1]`` into ``sizes['x'][1]``."""

    def __init__(self, text: str) -> None:
        self._text = text

    def visit(self, node: ast.AST) -> Any:  # noqa: ANN401 - as the base has it
        if isinstance(node, ast.Subscript):
            return self._size(node)
        if isinstance(node, ast.Constant) and type(node.value) is int:
            return node
        if isinstance(node, _ALLOWED):
            return self.generic_visit(node)
        match node:
            case ast.Call(func=ast.Name(id="max" | "min" as name), args=[_, _, *_], keywords=[]):
                arguments = [self.visit(argument) for argument in node.args]
                return ast.Call(ast.Name(name, ast.Load()), arguments, [])
        raise Unreadable(self._text)

    def _size(self, node: ast.Subscript) -> ast.AST:
        match node:
            case ast.Subscript(
                value=ast.Call(
                    func=ast.Attribute(
                        value=ast.Subscript(
                            # Of an argument, or of one that **kwargs takes.
                            value=ast.Name(id="L") | ast.Subscript(value=ast.Name(id="L")),
                            slice=ast.Constant(value=str(name)),
                        ),
                        attr="size",
                    ),
                    args=[],
                    keywords=[],
                ),
                slice=ast.Constant(value=int(side)),
            ):
                table = ast.Name("sizes", ast.Load())
                shape = ast.Subscript(table, ast.Constant(name), ast.Load())
                return ast.Subscript(shape, ast.Constant(side), ast.Load())
        raise Unreadable(self._text)
