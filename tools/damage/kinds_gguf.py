"""GGUF: blocks that hold their scales, names and widths of its own, and the configuration in the same file."""

import os

import numpy

from damage import changes
from damage.kind import Seen, kind

Q4_0, Q8_0, K_QUANTS = "moe-gguf-q4_0", "moe-gguf-q8_0", "wide-gguf-q4_k_m"
UP = "blk.1.ffn_up.weight"
EXPERTS_DOWN = "blk.1.ffn_down_exps.weight"
# A block of 32 begins with its scale in f16, little-endian.
F16_NAN = (0x00, 0x7E)
F16_INFINITE = (0x00, 0x7C)


@kind("gguf-truncated", Q4_0, Seen.OPENING, "model.gguf", "1000 bytes")
def truncated(checkpoint):
    """The last 1000 bytes are missing."""
    checkpoint.edit_afterwards(lambda folder: _cut(folder / "model.gguf", -1000))


@kind("gguf-header-truncated", Q4_0, Seen.OPENING, "model.gguf", "header")
def header_truncated(checkpoint):
    """The file ends within its header."""
    checkpoint.edit_afterwards(lambda folder: _cut(folder / "model.gguf", 4000))


@kind("gguf-tensor-missing", Q4_0, Seen.OPENING, "layers.1.mlp.up_proj", "missing")
def tensor_missing(checkpoint):
    """A weight is not there."""
    del checkpoint.gguf.tensors[UP]


@kind("gguf-tensor-unknown", Q4_0, Seen.OPENING, "blk.1.attn_sinks.weight")
def tensor_unknown(checkpoint):
    """A tensor is left over that the network does not have."""
    checkpoint.gguf.tensors["blk.1.attn_sinks.weight"] = checkpoint.gguf["blk.1.attn_q_norm.weight"]


@kind("gguf-tensor-twice", Q4_0, Seen.OPENING, "blk.1.ffn_up.weight", "twice")
def tensor_twice(checkpoint):
    """Two tensors have the same name."""
    checkpoint.edit_afterwards(lambda folder: _rename(folder / "model.gguf", "blk.2.ffn_up.weight", UP))


@kind("gguf-dimensions-exchanged", Q4_0, Seen.OPENING, UP, "[96,64]", "[64,96]")
def dimensions_exchanged(checkpoint):
    """The shape of a weight is that of its transpose."""
    checkpoint.gguf[UP].dims.reverse()


@kind("gguf-type-contradicts-size", Q4_0, Seen.OPENING, "model.gguf", "blk.1.")
def type_contradicts_size(checkpoint):
    """A weight's type has blocks of another size than the file has room for."""
    checkpoint.gguf[UP].type = 3


@kind("gguf-type-unknown", Q4_0, Seen.OPENING, UP, "type 77")
def type_unknown(checkpoint):
    """A weight's type does not exist."""
    checkpoint.gguf[UP].type = 77


@kind("gguf-values-in-a-layer-without", Q4_0, Seen.AGAINST, "layers.1.self_attn.v_proj")
def values_in_a_layer_without(checkpoint):
    """A layer that takes its values from its keys has a value projection, which decides in this format."""
    checkpoint.gguf.tensors["blk.1.attn_v.weight"] = checkpoint.gguf["blk.3.attn_k.weight"]


@kind("gguf-expert-count", Q4_0, Seen.OPENING, "blk.0.ffn_down_exps.weight", "[8,96,32]", "[7,96,32]")
def expert_count(checkpoint):
    """The metadata have one expert less than the tensors."""
    checkpoint.gguf.set_number("gemma4.expert_count", 7)


@kind("gguf-block-count", Q4_0, Seen.OPENING, "gemma4.block_count", "5")
def block_count(checkpoint):
    """The metadata have one layer more than the tensors."""
    checkpoint.gguf.set_number("gemma4.block_count", 5)


@kind("gguf-kv-heads", Q4_0, Seen.OPENING, "blk.0.attn_k.weight", "[64,96]", "[128,96]")
def kv_heads(checkpoint):
    """The metadata have other key/value heads than the tensors."""
    checkpoint.gguf.set_numbers("gemma4.attention.head_count_kv", [4, 1, 2, 1])


@kind("gguf-window-pattern", Q4_0, Seen.OPENING, "blk.0.attn_k_norm.weight", "[32]", "[64]")
def window_pattern(checkpoint):
    """The metadata have other full layers than the tensors."""
    checkpoint.gguf.set_numbers("gemma4.attention.sliding_window_pattern", [False, True, True, False])


@kind("gguf-rotary-factors", Q4_0, Seen.OPENING, "rope_freqs.weight", "position 3")
def rotary_factors(checkpoint):
    """One factor of the rotary embedding is not Gemma 4's."""
    checkpoint.gguf["rope_freqs.weight"].blocks[3] = numpy.frombuffer(numpy.float32(8).tobytes(), numpy.uint8)


@kind("gguf-block-scale-nan", Q4_0, Seen.LOADING, "layers.1.mlp.up_proj", "nan")
def block_scale_nan(checkpoint):
    """The scale of one block is NaN."""
    checkpoint.gguf[UP].blocks[40, :2] = F16_NAN


@kind("gguf-block-scale-infinite", Q8_0, Seen.LOADING, "layers.1.experts.4.down_proj", "row 16", "inf")
def block_scale_infinite(checkpoint):
    """The scale of one block is infinite."""
    checkpoint.gguf[EXPERTS_DOWN].blocks[400, :2] = F16_INFINITE


@kind("gguf-k-minimum-nan", K_QUANTS, Seen.LOADING, "layers.0.self_attn.q_proj", "nan")
def k_minimum_nan(checkpoint):
    """The scale of the minimums of one block of 256 is NaN."""
    checkpoint.gguf["blk.0.attn_q.weight"].blocks[5, 2:4] = F16_NAN


@kind("gguf-norm-nan", Q4_0, Seen.LOADING, "layers.1.input_layernorm", "nan")
def norm_nan(checkpoint):
    """One element of a norm is NaN."""
    checkpoint.gguf["blk.1.attn_norm.weight"].blocks[4] = numpy.frombuffer(numpy.float32(numpy.nan).tobytes(), numpy.uint8)


@kind("gguf-scales-zero", Q4_0, Seen.VERIFY, "layers.1.mlp.up_proj", "zero")
def scales_zero(checkpoint):
    """The scales of a weight were never written."""
    checkpoint.gguf[UP].blocks[:, :2] = 0


@kind("gguf-expert-zero", Q8_0, Seen.VERIFY, "layers.1.experts.5.down_proj")
def expert_zero(checkpoint):
    """The blocks of one expert were never written."""
    tensor = checkpoint.gguf[EXPERTS_DOWN]
    tensor.blocks.reshape(8, -1)[5] = 0


@kind("gguf-blocks-uninitialised", Q8_0, Seen.VERIFY, "layers.1.experts.5.down_proj")
def blocks_uninitialised(checkpoint):
    """The blocks of one expert are what memory held."""
    blocks = checkpoint.gguf[EXPERTS_DOWN].blocks.reshape(8, -1)
    blocks[5] = numpy.frombuffer(checkpoint.random.bytes(blocks.shape[1]), numpy.uint8)


@kind("gguf-nibbles-swapped", Q4_0, Seen.AGAINST, "layers.1.mlp.up_proj")
def nibbles_swapped(checkpoint):
    """The two halves of each block are stored in the other order."""
    blocks = checkpoint.gguf[UP].blocks
    blocks[:, 2:] = changes.swap_nibbles(blocks[:, 2:])


@kind("gguf-blocks-shifted", Q4_0, Seen.AGAINST, "layers.1.mlp.up_proj")
def blocks_shifted(checkpoint):
    """The blocks of a weight stand one place too low."""
    checkpoint.gguf[UP].blocks = numpy.roll(checkpoint.gguf[UP].blocks, 1, axis=0)


@kind("gguf-experts-exchanged", Q4_0, Seen.AGAINST, "layers.1.experts.2.down_proj", "layers.1.experts.5.down_proj")
def experts_exchanged(checkpoint):
    """Two experts of a layer have each other's weights."""
    blocks = checkpoint.gguf[EXPERTS_DOWN].blocks.reshape(8, -1)
    blocks[[2, 5]] = blocks[[5, 2]]


@kind("gguf-k-minimums-lost", K_QUANTS, Seen.AGAINST, "layers.0.self_attn.q_proj")
def k_minimums_lost(checkpoint):
    """The minimums of a weight are zero."""
    checkpoint.gguf["blk.0.attn_q.weight"].blocks[:, 2:4] = 0


@kind("gguf-tail-stale", K_QUANTS, Seen.AGAINST, "layers.0.self_attn.q_proj")
def tail_stale(checkpoint):
    """The last eighth of a weight is that of its beginning."""
    blocks = checkpoint.gguf["blk.0.attn_q.weight"].blocks
    eighth = len(blocks) // 8
    blocks[-eighth:] = blocks[:eighth]


def _cut(path, size):
    os.truncate(path, size if size >= 0 else path.stat().st_size + size)


def _rename(path, old, new):
    data = path.read_bytes()
    assert data.count(old.encode()) == 1 and len(old) == len(new)
    path.write_bytes(data.replace(old.encode(), new.encode()))
