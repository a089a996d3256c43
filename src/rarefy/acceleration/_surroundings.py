"""Whether a call is an ordinary one: nothing around it that must see every single operation."""

import torch


def ordinary() -> bool:
    """False under autocast, a transform of ``torch.func``, forward-mode AD or a dispatch mode.

    There a chain would give the wrong type, derivatives that are silently zero, or nothing to see
    for a counter of operations: the plain layers run instead.
    """
    return not (
        torch.is_autocast_enabled("cpu")
        or torch._C._functorch.peek_interpreter_stack() is not None
        or torch.autograd.forward_ad._current_level >= 0
        or torch._C._len_torch_dispatch_stack() > 0
    )


def traced_by_jit() -> bool:
    """Whether ``torch.jit.trace`` looks on; then chains go through their registered operation."""
    return torch._C._is_tracing()
