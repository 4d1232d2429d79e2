"""Writes torch_catalogue.h5: float64 values of PyTorch for layers that torch_reference.h5 lacks.

/layers/<name>/{in_*, param_*, out_*, gout_*, gin_*, gparam_*}: L = sum(out * gout), gin = dL/din, gparam = dL/dparam.
Boolean inputs are stored as int64. Made with Debian's python3-torch 1.13.1: make_torch_catalogue.py FILE
"""
import sys

import h5py
import torch
from torch import nn

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
file = h5py.File(sys.argv[1], "w")
file.attrs["torch_version"] = str(torch.__version__)
file.attrs["README"] = __doc__
generator = torch.Generator().manual_seed(20)


def randn(*shape):
    return torch.randn(shape, generator=generator)


def put(group, name, value):
    value = value.detach()
    group.create_dataset(name, data=(value.long() if value.dtype == torch.bool else value).numpy())


def layer(name, module, run, **inputs):
    """run(**inputs) gives a tensor or a dict of tensors."""
    group = file.create_group("layers/" + name)
    group.attrs["module"] = str(module)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(randn(*parameter.shape) * 0.5)
    leaves = {k: v.clone().requires_grad_() if v.is_floating_point() else v for k, v in inputs.items()}
    outputs = run(**leaves)
    outputs = outputs if isinstance(outputs, dict) else {"y": outputs}
    loss = 0
    for key, value in inputs.items():
        put(group, "in_" + key, value)
    for key, value in module.named_parameters():
        put(group, "param_" + key, value)
    for key, value in outputs.items():
        put(group, "out_" + key, value)
        gradient = randn(*value.shape)
        put(group, "gout_" + key, gradient)
        loss = loss + (value * gradient).sum()
    loss.backward()
    for key, value in leaves.items():
        if value.is_floating_point():
            put(group, "gin_" + key, value.grad)
    for key, value in module.named_parameters():
        put(group, "gparam_" + key, value.grad)


# ---- attention: L = 3, S = 4, N = 2, E = 6, 2 heads ------------------------------------------------------------------

padding = torch.tensor([[False, False, False, True], [False, True, False, False]])
forbidden = torch.tensor([[False, True, False, False], [False, False, True, False], [True, False, False, False]])


def attention(name, inputs, call=(), **options):
    module = nn.MultiheadAttention(6, 2, **options)
    call = dict(call)

    def run(**x):
        q = x["query"]
        k = x.get("key", q)
        keywords = {n: x[n] for n in ("key_padding_mask", "attn_mask") if n in x}
        y, w = module(q, k, x.get("value", k), **keywords, **call)
        return {"y": y} if w is None else {"y": y, "w": w}

    layer(name, module, run, **inputs)


query, key, value = randn(3, 2, 6), randn(4, 2, 6), randn(4, 2, 6)
attention("mha_self", {"query": query})
attention("mha_self_no_weights", {"query": query}, {"need_weights": False})
attention("mha_self_nobias", {"query": query}, bias=False)
attention("mha_cross", {"query": query, "key": key, "value": value})
attention("mha_cross_shared", {"query": query, "key": key}, {"average_attn_weights": False})
attention("mha_batch_first", {"query": randn(2, 3, 6), "key": randn(2, 4, 6), "value": randn(2, 4, 6)},
          batch_first=True)
attention("mha_self_batch_first", {"query": randn(2, 3, 6)}, batch_first=True)
attention("mha_unbatched", {"query": randn(3, 6), "key": randn(4, 6), "value": randn(4, 6), "attn_mask": forbidden})
attention("mha_unbatched_self", {"query": randn(3, 6)}, {"average_attn_weights": False}, batch_first=True)
attention("mha_kdim_vdim", {"query": query, "key": randn(4, 2, 5), "value": randn(4, 2, 3)}, kdim=5, vdim=3)
attention("mha_bias_kv", {"query": query, "key": key, "value": value, "attn_mask": forbidden,
                          "key_padding_mask": padding}, add_bias_kv=True)
attention("mha_zero_attn", {"query": query, "key": key, "value": value, "key_padding_mask": padding},
          add_zero_attn=True)
attention("mha_bias_kv_zero_attn", {"query": query}, add_bias_kv=True, add_zero_attn=True)
attention("mha_masks", {"query": query, "key": key, "value": value, "attn_mask": forbidden,
                        "key_padding_mask": padding}, {"average_attn_weights": False})
attention("mha_float_mask", {"query": query, "key": key, "value": value, "attn_mask": randn(3, 4)})
attention("mha_mask_per_head", {"query": query, "key": key, "value": value, "attn_mask": randn(4, 3, 4)})

# ---- transformer encoders: L = 5, N = 2, E = 6 -----------------------------------------------------------------------

later = torch.ones(5, 5).triu(1).bool()
late = torch.tensor([[False] * 5, [False] * 3 + [True] * 2])


def encoder(name, module, masks=(), batch_first=False):
    masks = dict(masks)
    module.train()  # dropout is 0; evaluation would take another path, with nested tensors
    src = randn(2, 5, 6) if batch_first else randn(5, 2, 6)
    layer(name, module, lambda src, **m: module(src, **m), src=src, **masks)


def block(**options):
    return nn.TransformerEncoderLayer(6, 2, dim_feedforward=7, dropout=0, **options)


encoder("encoder_layer_post", block())
encoder("encoder_layer_pre", block(norm_first=True))
encoder("encoder_layer_gelu_eps", block(activation="gelu", layer_norm_eps=0.1))
encoder("encoder_layer_masks", block(batch_first=True), {"src_mask": later, "src_key_padding_mask": late}, True)
encoder("encoder_layer_pre_masks", block(norm_first=True), {"src_mask": later, "src_key_padding_mask": late})
encoder("encoder_2", nn.TransformerEncoder(block(), 2))
encoder("encoder_2_pre_norm", nn.TransformerEncoder(block(norm_first=True), 2, norm=nn.LayerNorm(6)),
        {"mask": later, "src_key_padding_mask": late})

# ---- convolutions ----------------------------------------------------------------------------------------------------


def convolution(name, module, *shape):
    layer(name, module, lambda x: module(x), x=randn(*shape))


for mode in ("reflect", "replicate", "circular"):
    convolution("conv1d_" + mode, nn.Conv1d(2, 3, 3, padding=2, padding_mode=mode), 2, 2, 6)
    convolution("conv2d_" + mode, nn.Conv2d(2, 3, 3, padding=(2, 1), stride=(1, 2), padding_mode=mode), 2, 2, 5, 4)
    convolution("conv2d_same_" + mode, nn.Conv2d(2, 2, (2, 3), padding="same", padding_mode=mode), 2, 2, 5, 4)
convolution("conv1d_same", nn.Conv1d(2, 3, 4, padding="same", dilation=2), 2, 2, 9)
convolution("conv2d_same", nn.Conv2d(2, 4, (4, 3), padding="same", dilation=(1, 2), groups=2), 2, 2, 6, 5)
convolution("conv2d_valid", nn.Conv2d(2, 3, 3, padding="valid", stride=2), 2, 2, 7, 6)
convolution("conv1d_unbatched", nn.Conv1d(2, 3, 3, padding=1), 2, 6)
convolution("conv2d_unbatched", nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), 2, 5, 4)
convolution("conv_transpose2d_unbatched", nn.ConvTranspose2d(2, 3, 3, stride=2), 2, 4, 3)

# ---- pooling and instance normalisation, of a batch and of one sample ------------------------------------------------

for name, module, size in (
        ("max1d_dilation", nn.MaxPool1d(3, stride=2, padding=1, dilation=2), (11,)),
        ("max1d_ceil", nn.MaxPool1d(3, stride=3, padding=1, ceil_mode=True), (9,)),
        ("max2d", nn.MaxPool2d((3, 2), stride=(2, 3), padding=(1, 0), dilation=(1, 2)), (7, 8)),
        ("max2d_ceil", nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True), (6, 7)),
        ("avg1d", nn.AvgPool1d(3, stride=2, padding=1), (8,)),
        ("avg1d_ceil", nn.AvgPool1d(4, stride=3, padding=2, ceil_mode=True, count_include_pad=False), (9,)),
        ("avg2d_ceil", nn.AvgPool2d((3, 2), stride=(2, 3), padding=(1, 1), ceil_mode=True), (6, 7)),
        ("avg2d_exclude", nn.AvgPool2d(3, stride=2, padding=1, ceil_mode=True, count_include_pad=False), (6, 7)),
        ("adaptive_max1d", nn.AdaptiveMaxPool1d(4), (7,)), ("adaptive_avg1d", nn.AdaptiveAvgPool1d(5), (7,)),
        ("adaptive_max2d", nn.AdaptiveMaxPool2d((2, 3)), (5, 4)),
        ("adaptive_avg2d", nn.AdaptiveAvgPool2d((3, 6)), (7, 4)),
        ("instance1d", nn.InstanceNorm1d(3, affine=True), (6,)),
        ("instance2d", nn.InstanceNorm2d(3, eps=0.1, affine=True), (4, 3))):
    convolution(name, module, 2, 3, *size)
    convolution(name + "_unbatched", module, 3, *size)
