"""The operations that captured code may have when it comes from a file.

All of them check their indices and touch nothing but their arguments: code of a hostile file can
be wrong, it cannot reach anything. What is not listed is not stored; its layers run one by one.
"""

import torch

_OPERATORS = "add eq floordiv ge getitem gt le lt mod mul ne neg sub truediv"

_ATEN = """
__and__ __or__ __xor__ _softmax _log_softmax abs adaptive_avg_pool1d adaptive_avg_pool2d
adaptive_max_pool2d add addmm alias amax amin any all arange argmax argmin avg_pool1d avg_pool2d
baddbmm batch_norm bitwise_and bitwise_not bitwise_or bmm cat chunk clamp clamp_max clamp_min
clone concat constant_pad_nd contiguous conv1d conv2d conv3d conv_transpose1d conv_transpose2d
convolution cos cumsum detach diff div dropout einsum elu embedding eq erf exp expand expand_as
flatten flip floor floor_divide full full_like gather ge gelu group_norm gru gt hardsigmoid
hardswish hardtanh index index_select layer_norm le leaky_relu lift_fresh_copy linear log
log_softmax logical_and logical_not logical_or lstm lt masked_fill matmul max max_pool1d
max_pool2d maximum mean min minimum mish mm movedim mul narrow ne neg new_full new_ones
new_zeros ones ones_like pad permute pixel_shuffle pow prod reciprocal relu relu6 repeat
reshape rms_norm roll rsqrt scalar_tensor scaled_dot_product_attention select sigmoid silu sin
slice softmax softplus split split_with_sizes sqrt square squeeze stack std sub sum swapaxes
sym_size t tanh to transpose tril triu type_as unbind unflatten unsqueeze upsample_bilinear2d
upsample_nearest2d var view view_as where zeros zeros_like
"""

OPERATORS = frozenset(_OPERATORS.split())
ATEN = frozenset(_ATEN.split())


def allowed(target: str) -> bool:
    """Whether a line of captured code with this target may be stored, and read from a file.

    >>> allowed("aten.linear.default"), allowed("aten.from_file.default"), allowed("chain")
    (True, False, True)
    >>> allowed("aten.zeros_like.out")
    False
    """
    if target in ("attribute", "chain"):
        return True
    first, *rest = target.split(".")
    if first == "operator":
        return len(rest) == 1 and rest[0] in OPERATORS
    if first != "aten" or len(rest) != 2 or rest[0] not in ATEN:
        return False
    # Among the forms of a harmless operation are some that write where they are told (``out=``).
    form = getattr(getattr(torch.ops.aten, rest[0], None), rest[1], None)
    return isinstance(form, torch._ops.OpOverload) and not form._schema.is_mutable
