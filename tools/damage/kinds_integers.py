"""Integers with scales and zero points: compressed-tensors, GPTQ, AutoRound and AWQ."""

import numpy

from damage import changes
from damage.changes import LAYERS
from damage.kind import Seen, kind

INT4, ORDERED, ASYMMETRIC, FUSED = ("moe-ct-w4a16-g32", "moe-ct-w4a16-g32-actorder", "moe-ct-w4a16-g32-asym", "moe-ct-fused-int4")
GPTQ, AUTO_ROUND, AWQ = "dense-gptq-int4-actorder", "moe-autoround-int4", "moe-awq-int4"
UP = LAYERS + "1.experts.3.up_proj"
DOWN = LAYERS + "1.experts.3.down_proj"
MLP_DOWN = LAYERS + "1.mlp.down_proj"


@kind("int4-scale-missing", INT4, Seen.OPENING, UP, "weight_scale")
def scale_missing(checkpoint):
    """One projection has no scales."""
    del checkpoint[UP + ".weight_scale"]


@kind("int4-shape-contradicts", INT4, Seen.VERIFY, UP + ".weight_shape", "[96,32]")
def shape_contradicts(checkpoint):
    """The tensor that tells the shape has it transposed."""
    checkpoint[UP + ".weight_shape"].array = checkpoint[UP + ".weight_shape"].array[::-1].copy()


@kind("int4-words-missing", INT4, Seen.OPENING, UP + ".weight_packed", "[32,11]")
def words_missing(checkpoint):
    """Each row lacks its last word."""
    changes.drop_last(checkpoint, UP + ".weight_packed")


@kind("int4-scale-nan", INT4, Seen.LOADING, UP, "nan", "row 5 group 1")
def scale_nan(checkpoint):
    """One scale is NaN."""
    changes.set_value(checkpoint, UP + ".weight_scale", numpy.nan, 16)


@kind("int4-scale-negative", INT4, Seen.LOADING, UP, "row 5 group 1", "not negative")
def scale_negative(checkpoint):
    """One scale has the wrong sign."""
    changes.set_value(checkpoint, UP + ".weight_scale", -0.01, 16)


@kind("int4-scales-zero", INT4, Seen.VERIFY, UP, "zero")
def scales_zero(checkpoint):
    """The scales of one projection were never written."""
    changes.scale_values(checkpoint, UP + ".weight_scale", 0)


@kind("int4-tail-scale-zero", INT4, Seen.VERIFY, UP, "zero")
def tail_scale_zero(checkpoint):
    """The scales of each row's last group were never written."""
    values = checkpoint[UP + ".weight_scale"].values.copy()
    values[:, -1] = 0
    checkpoint[UP + ".weight_scale"].values = values


@kind("int4-nibbles-reversed", INT4, Seen.AGAINST, UP)
def nibbles_reversed(checkpoint):
    """The eight codes of each word are stored in the other order."""
    array = checkpoint[UP + ".weight_packed"].array
    checkpoint[UP + ".weight_packed"].array = changes.swap_nibbles(array.byteswap())


@kind("int4-signed-codes", INT4, Seen.AGAINST, UP)
def signed_codes(checkpoint):
    """The codes are stored in two's complement instead of with 8 added."""
    checkpoint[UP + ".weight_packed"].array = changes.add_to_nibbles(checkpoint[UP + ".weight_packed"].array, 8)


@kind("int4-tail-codes-stale", INT4, Seen.AGAINST, UP)
def tail_codes_stale(checkpoint):
    """The codes of each row's last group are those of another expert."""
    other = checkpoint[LAYERS + "1.experts.6.up_proj.weight_packed"].array
    checkpoint[UP + ".weight_packed"].array[:, -4:] = other[:, -4:]


@kind("int4-order-missing", ORDERED, Seen.OPENING, UP, "weight_g_idx")
def order_missing(checkpoint):
    """One projection has lost the groups of its inputs."""
    del checkpoint[UP + ".weight_g_idx"]


@kind("int4-order-is-no-grouping", ORDERED, Seen.LOADING, UP, "group 0 has 33 inputs")
def order_is_no_grouping(checkpoint):
    """One group has an input too many, another one too few."""
    index = checkpoint[UP + ".weight_g_idx"].array
    index[numpy.flatnonzero(index == 1)[0]] = 0


@kind("int4-order-out-of-range", ORDERED, Seen.LOADING, UP, "group index 3")
def order_out_of_range(checkpoint):
    """An input is in a group that does not exist."""
    checkpoint[UP + ".weight_g_idx"].array[10] = 3


@kind("int4-order-of-another-module", ORDERED, Seen.AGAINST, UP)
def order_of_another_module(checkpoint):
    """The inputs are grouped as those of another module."""
    checkpoint[UP + ".weight_g_idx"].array = checkpoint.random.permutation(checkpoint[UP + ".weight_g_idx"].array)


@kind("int4-zero-points-missing", ASYMMETRIC, Seen.OPENING, UP, "weight_zero_point")
def zero_points_missing(checkpoint):
    """One projection has no zero points."""
    del checkpoint[UP + ".weight_zero_point"]


@kind("int4-zero-points-unpacked", ASYMMETRIC, Seen.OPENING, UP + ".weight_zero_point", "[32,3]")
def zero_points_unpacked(checkpoint):
    """One projection has each zero point in a word of its own."""
    checkpoint[UP + ".weight_zero_point"].array = numpy.repeat(checkpoint[UP + ".weight_zero_point"].array, 8, axis=0)


@kind("int4-zero-points-off-by-one", ASYMMETRIC, Seen.AGAINST, DOWN)
def zero_points_off_by_one(checkpoint):
    """All zero points of one projection are one too low."""
    name = DOWN + ".weight_zero_point"
    checkpoint[name].array = changes.add_to_nibbles(checkpoint[name].array, -1)


@kind("fused-scale-missing", FUSED, Seen.OPENING, LAYERS + "1.experts.gate_up_proj", "no scale")
def fused_scale_missing(checkpoint):
    """The experts of a layer have codes without scales."""
    del checkpoint[LAYERS + "1.experts.gate_up_proj_scale"]


@kind("fused-expert-missing", FUSED, Seen.OPENING, LAYERS + "1.experts.down_proj_packed", "[7,96,4]")
def fused_expert_missing(checkpoint):
    """The last expert of a layer is missing."""
    changes.drop_last(checkpoint, LAYERS + "1.experts.down_proj_packed", axis=0)


@kind("fused-scale-negative", FUSED, Seen.LOADING, LAYERS + "1.experts.down_proj", "layers.1.experts.5.down_proj", "row 3",
      "not negative")
def fused_scale_negative(checkpoint):
    """One scale of one expert has the wrong sign."""
    changes.set_value(checkpoint, LAYERS + "1.experts.down_proj_scale", -0.01, 5 * 96 + 3)


@kind("fused-expert-scales-zero", FUSED, Seen.VERIFY, LAYERS + "1.experts.down_proj", "layers.1.experts.5.down_proj", "zero")
def fused_expert_scales_zero(checkpoint):
    """The scales of one expert were never written."""
    checkpoint[LAYERS + "1.experts.down_proj_scale"].array[5] = 0


@kind("fused-gate-and-up-exchanged", FUSED, Seen.AGAINST, "layers.2.experts.0.gate_proj", "layers.2.experts.0.up_proj")
def fused_gate_and_up_exchanged(checkpoint):
    """The rows of up stand before those of gate."""
    for suffix in ("packed", "scale"):
        name = f"{LAYERS}2.experts.gate_up_proj_{suffix}"
        checkpoint[name].array = numpy.roll(checkpoint[name].array, 32, axis=1)


@kind("fused-expert-of-another-layer", FUSED, Seen.AGAINST, "layers.2.experts.4.down_proj")
def fused_expert_of_another_layer(checkpoint):
    """One expert has the weights of another layer."""
    for suffix in ("packed", "scale"):
        source = checkpoint[f"{LAYERS}0.experts.down_proj_{suffix}"].array
        checkpoint[f"{LAYERS}2.experts.down_proj_{suffix}"].array[4] = source[4]


@kind("gptq-zero-points-missing", GPTQ, Seen.OPENING, MLP_DOWN, "qzeros")
def gptq_zero_points_missing(checkpoint):
    """A module has no zero points."""
    del checkpoint[MLP_DOWN + ".qzeros"]


@kind("gptq-order-missing", GPTQ, Seen.OPENING, MLP_DOWN, "g_idx")
def gptq_order_missing(checkpoint):
    """A module has lost the groups of its inputs."""
    del checkpoint[MLP_DOWN + ".g_idx"]


@kind("gptq-order-is-no-grouping", GPTQ, Seen.LOADING, MLP_DOWN, "inputs, expected 32")
def gptq_order_is_no_grouping(checkpoint):
    """The groups of a module's inputs are numbers at random."""
    index = checkpoint[MLP_DOWN + ".g_idx"].array
    checkpoint[MLP_DOWN + ".g_idx"].array = checkpoint.random.integers(0, 5, len(index)).astype(index.dtype)


@kind("gptq-transposed", GPTQ, Seen.OPENING, MLP_DOWN + ".qweight", "[96,20]")
def gptq_transposed(checkpoint):
    """A module's words are stored [out, in]."""
    changes.transpose(checkpoint, MLP_DOWN + ".qweight")


@kind("gptq-bits", GPTQ, Seen.OPENING, "layers.0.", "8 bits")
def gptq_bits(checkpoint):
    """The configuration has 8 bits where the tensors have 4."""
    checkpoint.quantization["bits"] = 8


@kind("gptq-group-size", GPTQ, Seen.OPENING, "layers.0.", "group_size 64")
def gptq_group_size(checkpoint):
    """The configuration has groups of 64 where the scales are those of 32."""
    checkpoint.quantization["group_size"] = 64


@kind("gptq-is-awq", GPTQ, Seen.OPENING, "layers.0.", "GPTQ's words")
def gptq_is_awq(checkpoint):
    """The configuration is that of an AWQ file."""
    checkpoint.json["config.json"]["quantization_config"] = {
        "quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": True, "version": "gemm"}


@kind("gptq-scale-nan", GPTQ, Seen.LOADING, MLP_DOWN, "nan")
def gptq_scale_nan(checkpoint):
    """One scale is NaN."""
    checkpoint[MLP_DOWN + ".scales"].array[2, 9] = numpy.nan


@kind("gptq-zero-points-of-version-2", GPTQ, Seen.AGAINST, LAYERS + "0.mlp.down_proj")
def gptq_zero_points_of_version_2(checkpoint):
    """The configuration says that zero points are stored as they are, but one is subtracted from each."""
    checkpoint.quantization["checkpoint_format"] = checkpoint.quantization["format"] = "gptq_v2"


@kind("gptq-words-shifted", GPTQ, Seen.AGAINST, MLP_DOWN)
def gptq_words_shifted(checkpoint):
    """A module's words stand one place too low."""
    checkpoint[MLP_DOWN + ".qweight"].array = numpy.roll(checkpoint[MLP_DOWN + ".qweight"].array, 1, axis=0)


@kind("autoround-tail-dropped", AUTO_ROUND, Seen.OPENING, UP, "1 groups", "makes 2")
def autoround_tail_dropped(checkpoint):
    """The scales and zero points of the half-full last group are missing."""
    changes.drop_last(checkpoint, UP + ".scales", axis=0)
    changes.drop_last(checkpoint, UP + ".qzeros", axis=0)


@kind("autoround-tail-stale", AUTO_ROUND, Seen.AGAINST, UP)
def autoround_tail_stale(checkpoint):
    """The scales of the half-full last group are those of the first."""
    scales = checkpoint[UP + ".scales"].array
    scales[-1] = scales[0]


@kind("autoround-tail-zero", AUTO_ROUND, Seen.VERIFY, UP, "zero")
def autoround_tail_zero(checkpoint):
    """The scales of the half-full last group were never written."""
    checkpoint[UP + ".scales"].array[-1] = 0


@kind("autoround-signs-of-scales-lost", AUTO_ROUND, Seen.AGAINST, UP)
def autoround_signs_of_scales_lost(checkpoint):
    """The scales, half of which are negative, lost their sign."""
    checkpoint[UP + ".scales"].array = numpy.abs(checkpoint[UP + ".scales"].array)


@kind("autoround-router-incomplete", AUTO_ROUND, Seen.OPENING, LAYERS + "1.router.proj", "scales")
def autoround_router_incomplete(checkpoint):
    """A quantised router has no scales."""
    del checkpoint[LAYERS + "1.router.proj.scales"]


@kind("autoround-other-packing", AUTO_ROUND, Seen.AGAINST, "down_proj")
def autoround_other_packing(checkpoint):
    """The configuration names the packing that stores zero points as they are."""
    checkpoint.quantization["packing_format"] = "auto_round"


@kind("autoround-module-of-8-bits", AUTO_ROUND, Seen.OPENING, LAYERS + "1.self_attn.k_proj", "8 bits")
def autoround_module_of_8_bits(checkpoint):
    """The configuration gives one module more bits than it has."""
    checkpoint.quantization.setdefault("extra_config", {})[LAYERS + "1.self_attn.k_proj"] = {"bits": 8}


@kind("awq-codes-missing", AWQ, Seen.OPENING, UP, "qweight")
def awq_codes_missing(checkpoint):
    """One projection has zero points and scales without codes."""
    del checkpoint[UP + ".qweight"]


@kind("awq-group-size", AWQ, Seen.OPENING, "layers.0.", "group_size 64")
def awq_group_size(checkpoint):
    """The configuration has groups of 64 where the scales are those of 32."""
    checkpoint.quantization["group_size"] = 64


@kind("awq-is-gptq", AWQ, Seen.OPENING, "layers.0.", "AWQ's words")
def awq_is_gptq(checkpoint):
    """The configuration is that of a GPTQ file."""
    checkpoint.json["config.json"]["quantization_config"] = {
        "quant_method": "gptq", "bits": 4, "group_size": 32, "sym": False, "desc_act": False}


@kind("awq-scales-infinite", AWQ, Seen.LOADING, UP, "inf")
def awq_scales_infinite(checkpoint):
    """One scale was too large for its type."""
    checkpoint[UP + ".scales"].array[1, 3] = numpy.inf


@kind("awq-scales-zero", AWQ, Seen.VERIFY, UP, "zero")
def awq_scales_zero(checkpoint):
    """The scales of one projection were too small for their type."""
    checkpoint[UP + ".scales"].array[:] = 0


@kind("awq-not-interleaved", AWQ, Seen.AGAINST, UP)
def awq_not_interleaved(checkpoint):
    """The codes of one projection stand in natural order within their words."""
    words = checkpoint[UP + ".qweight"].array.view(numpy.uint32)
    places = numpy.array([0, 4, 1, 5, 2, 6, 3, 7], numpy.uint32) * 4
    codes = words[..., None] >> places & 15
    shifts = numpy.arange(8, dtype=numpy.uint32) * 4
    checkpoint[UP + ".qweight"].array = (codes << shifts).sum(-1, dtype=numpy.uint32).view(numpy.int32)


@kind("awq-zero-points-off-by-one", AWQ, Seen.AGAINST, DOWN)
def awq_zero_points_off_by_one(checkpoint):
    """The zero points of one projection are stored as GPTQ has them, one less."""
    checkpoint[DOWN + ".qzeros"].array = changes.add_to_nibbles(checkpoint[DOWN + ".qzeros"].array, -1)
