"""compressed-tensors FP8: tensors missing, doubled, misnamed and misshapen, and scales that are not numbers to scale by."""

import numpy

from damage import changes
from damage.changes import LAYERS
from damage.checkpoint import CHECKPOINTS, Tensor
from damage import safetensors_file
from damage.kind import Seen, kind

BASE = "moe-ct-fp8-dynamic"
UP = LAYERS + "1.experts.3.up_proj"
DOWN = LAYERS + "1.experts.3.down_proj"
Q = LAYERS + "0.self_attn.q_proj"
O = LAYERS + "2.self_attn.o_proj"


@kind("fp8-scale-missing", BASE, Seen.OPENING, UP, "weight_scale")
def scale_missing(checkpoint):
    """One projection of one expert has no scale."""
    del checkpoint[UP + ".weight_scale"]


@kind("fp8-codes-missing", BASE, Seen.OPENING, O, "no weight")
def codes_missing(checkpoint):
    """A scale is there without its weight."""
    del checkpoint[O + ".weight"]


@kind("fp8-expert-missing", BASE, Seen.OPENING, "layers.2.experts.5.down_proj", "layers.2.experts.5.gate_proj", "missing")
def expert_missing(checkpoint):
    """One expert of one layer is not there."""
    checkpoint.remove(LAYERS + "2.experts.5.")


@kind("fp8-layer-missing", BASE, Seen.OPENING, "layers.3.", "missing")
def layer_missing(checkpoint):
    """The last layer is not there."""
    checkpoint.remove(LAYERS + "3.")


@kind("fp8-norm-missing", BASE, Seen.OPENING, "layers.1.pre_feedforward_layernorm_2", "missing")
def norm_missing(checkpoint):
    """A norm is not there."""
    del checkpoint[LAYERS + "1.pre_feedforward_layernorm_2.weight"]


@kind("fp8-scale-of-half-the-rows", BASE, Seen.OPENING, Q + ".weight_scale", "[64,1]")
def scale_of_half_the_rows(checkpoint):
    """The scales cover half of the rows."""
    checkpoint[Q + ".weight_scale"].array = checkpoint[Q + ".weight_scale"].array[:64]


@kind("fp8-transposed", BASE, Seen.OPENING, LAYERS + "1.mlp.down_proj.weight", "[64,96]", "[96,64]")
def transposed(checkpoint):
    """A weight is stored [in, out]."""
    changes.transpose(checkpoint, LAYERS + "1.mlp.down_proj.weight")


@kind("fp8-transposed-content", BASE, Seen.VERIFY, LAYERS + "1.mlp.down_proj", "codes and scales do not belong together")
def transposed_content(checkpoint):
    """A weight is stored column by column under the shape of the right one."""
    changes.transpose_content(checkpoint, LAYERS + "1.mlp.down_proj.weight")


@kind("fp8-other-float-type", BASE, Seen.OPENING, UP, "F8_E5M2")
def other_float_type(checkpoint):
    """The codes are said to be e5m2."""
    checkpoint[UP + ".weight"].dtype = "F8_E5M2"


@kind("fp8-scale-of-integers", BASE, Seen.OPENING, UP + ".weight_scale", "I16")
def scale_of_integers(checkpoint):
    """The bits of the scales are said to be integers."""
    checkpoint[UP + ".weight_scale"].dtype = "I16"


@kind("fp8-module-left-bf16", BASE, Seen.OPENING, DOWN, "BF16")
def module_left_bf16(checkpoint):
    """A module that the configuration quantises is stored as bf16."""
    checkpoint[DOWN + ".weight"] = changes.bf16_like(checkpoint, (96, 32))
    del checkpoint[DOWN + ".weight_scale"]


@kind("fp8-experts-left-bf16", BASE, Seen.OPENING, ".experts.0.down_proj", "BF16", "unquantised")
def experts_left_bf16(checkpoint):
    """The producer skipped every expert without saying so."""
    plain = safetensors_file.read(CHECKPOINTS / "moe-perexpert-bf16/model.safetensors")
    checkpoint.remove(".experts.")
    for name in plain:
        if ".experts." in name:
            checkpoint[name] = plain[name]


@kind("fp8-renamed", BASE, Seen.OPENING, UP, "weight.weight")
def renamed(checkpoint):
    """A rename was applied twice: "weight.weight"."""
    checkpoint.rename(UP + ".weight", UP + ".weight.weight")


@kind("fp8-expert-under-two-names", BASE, Seen.OPENING, "layers.1.experts.3.down_proj", LAYERS + "1.moe.experts.3.down_proj",
      "twice")
def expert_under_two_names(checkpoint):
    """An expert is there in the older spelling too."""
    for part in ("gate_proj", "up_proj", "down_proj"):
        checkpoint.copy_module(f"{LAYERS}1.experts.3.{part}", f"{LAYERS}1.moe.experts.3.{part}")


@kind("fp8-experts-fused-too", BASE, Seen.OPENING, LAYERS + "2.experts.down_proj", "quantised")
def experts_fused_too(checkpoint):
    """The experts of a layer are there a second time, fused and in bf16."""
    plain = safetensors_file.read(CHECKPOINTS / "moe-bf16/model.safetensors")
    for part in ("gate_up_proj", "down_proj"):
        checkpoint[f"{LAYERS}2.experts.{part}"] = plain[f"{LAYERS}2.experts.{part}"]


@kind("fp8-unknown-suffix", BASE, Seen.OPENING, Q + ".weight_correction", "unknown")
def unknown_suffix(checkpoint):
    """A module has a tensor that nobody knows."""
    checkpoint[Q + ".weight_correction"] = checkpoint[Q + ".weight_scale"].copy()


@kind("fp8-unknown-module", BASE, Seen.OPENING, LAYERS + "0.adapter.lora_A.weight", "unknown")
def unknown_module(checkpoint):
    """A module is left over that the network does not have."""
    checkpoint[LAYERS + "0.adapter.lora_A.weight"] = changes.bf16_like(checkpoint, (8, 96))


@kind("fp8-expert-too-many", BASE, Seen.OPENING, LAYERS + "0.experts.8.down_proj", "num_experts 8")
def expert_too_many(checkpoint):
    """One layer has one expert more than the others."""
    for part in ("gate_proj", "up_proj", "down_proj"):
        checkpoint.copy_module(f"{LAYERS}0.experts.7.{part}", f"{LAYERS}0.experts.8.{part}")


@kind("fp8-value-projection-left-over", BASE, Seen.OPENING, LAYERS + "1.self_attn.v_proj", "attention_k_eq_v")
def value_projection_left_over(checkpoint):
    """A layer that takes its values from k_proj has a v_proj."""
    checkpoint.copy_module(LAYERS + "1.self_attn.k_proj", LAYERS + "1.self_attn.v_proj")


@kind("fp8-router-quantised", BASE, Seen.OPENING, LAYERS + "2.router.proj", "not quantised")
def router_quantised(checkpoint):
    """A router is quantised though the configuration leaves it alone."""
    module = LAYERS + "2.router.proj"
    checkpoint[module + ".weight"] = Tensor("F8_E4M3", checkpoint[LAYERS + "2.mlp.gate_proj.weight"].array[:8].copy())
    checkpoint[module + ".weight_scale"] = Tensor("BF16", checkpoint[LAYERS + "2.mlp.gate_proj.weight_scale"].array[:8].copy())


@kind("fp8-codes-not-a-number", BASE, Seen.LOADING, Q, "NaN")
def codes_not_a_number(checkpoint):
    """One code is e4m3's NaN."""
    checkpoint[Q + ".weight"].array[5, 7] = 0x7F


@kind("fp8-scale-nan", BASE, Seen.LOADING, UP, "nan")
def scale_nan(checkpoint):
    """One scale is NaN."""
    changes.set_value(checkpoint, UP + ".weight_scale", numpy.nan, 4)


@kind("fp8-scale-infinite", BASE, Seen.LOADING, UP, "inf")
def scale_infinite(checkpoint):
    """One scale is infinite."""
    changes.set_value(checkpoint, UP + ".weight_scale", numpy.inf, 4)


@kind("fp8-scale-negative", BASE, Seen.LOADING, UP, "row 4", "not negative")
def scale_negative(checkpoint):
    """One scale has the wrong sign."""
    changes.set_value(checkpoint, UP + ".weight_scale", -0.001, 4)


@kind("fp8-scales-uninitialised", BASE, Seen.LOADING, UP, "scale")
def scales_uninitialised(checkpoint):
    """The scales of one projection are what memory held."""
    changes.fill_garbage(checkpoint, UP + ".weight_scale")


@kind("fp8-norm-nan", BASE, Seen.LOADING, LAYERS + "2.input_layernorm", "nan")
def norm_nan(checkpoint):
    """One element of a norm is NaN."""
    changes.set_value(checkpoint, LAYERS + "2.input_layernorm.weight", numpy.nan)


@kind("fp8-embedding-infinite", BASE, Seen.LOADING, "embed_tokens", "infinit")
def embedding_infinite(checkpoint):
    """One element of the embedding is infinite."""
    changes.set_value(checkpoint, "model.language_model.embed_tokens.weight", numpy.inf, 777)


@kind("fp8-scales-zero", BASE, Seen.VERIFY, UP, "zero")
def scales_zero(checkpoint):
    """The scales of one projection were never written."""
    changes.scale_values(checkpoint, UP + ".weight_scale", 0)


@kind("fp8-scale-zero", BASE, Seen.VERIFY, UP, "zero")
def scale_zero(checkpoint):
    """One scale is zero over codes that are not."""
    changes.set_value(checkpoint, UP + ".weight_scale", 0, 4)


@kind("fp8-scales-inverted", BASE, Seen.VERIFY, UP)
def scales_inverted(checkpoint):
    """The scales of one projection are stored as reciprocals."""
    checkpoint[UP + ".weight_scale"].values = 1 / checkpoint[UP + ".weight_scale"].values


@kind("fp8-all-scales-inverted", BASE, Seen.VERIFY, ".experts.")
def all_scales_inverted(checkpoint):
    """All scales are stored as reciprocals."""
    for name in checkpoint.names("weight_scale"):
        checkpoint[name].values = 1 / checkpoint[name].values


@kind("fp8-expert-loud", BASE, Seen.VERIFY, LAYERS + "2.experts.6.down_proj", "median")
def expert_loud(checkpoint):
    """One expert is 16 times as large as the others of its layer."""
    changes.scale_values(checkpoint, LAYERS + "2.experts.6.down_proj.weight_scale", 16)


@kind("fp8-expert-silent", BASE, Seen.VERIFY, LAYERS + "2.experts.6.gate_proj", "median")
def expert_silent(checkpoint):
    """One expert is a hundredth as large as the others of its layer."""
    changes.scale_values(checkpoint, LAYERS + "2.experts.6.gate_proj.weight_scale", 0.01)


@kind("fp8-head-is-not-the-embedding", BASE, Seen.VERIFY, "lm_head", "differ from the embedding")
def head_is_not_the_embedding(checkpoint):
    """The model is said to be tied, and has a head that differs from the embedding."""
    checkpoint["lm_head.weight"] = checkpoint["model.language_model.embed_tokens.weight"].copy()
    changes.set_value(checkpoint, "lm_head.weight", 0.5, 1234)


@kind("fp8-experts-exchanged", BASE, Seen.AGAINST, LAYERS + "1.experts.2.", LAYERS + "1.experts.5.")
def experts_exchanged(checkpoint):
    """Two experts of a layer have each other's weights."""
    for part in ("gate_proj", "up_proj", "down_proj"):
        checkpoint.swap_modules(f"{LAYERS}1.experts.2.{part}", f"{LAYERS}1.experts.5.{part}")


@kind("fp8-expert-of-another-layer", BASE, Seen.AGAINST, LAYERS + "3.experts.4.")
def expert_of_another_layer(checkpoint):
    """An expert has the weights of the same expert of another layer."""
    for part in ("gate_proj", "up_proj", "down_proj"):
        checkpoint.copy_module(f"{LAYERS}0.experts.4.{part}", f"{LAYERS}3.experts.4.{part}")


@kind("fp8-expert-of-another-checkpoint", BASE, Seen.AGAINST, LAYERS + "1.experts.3.")
def expert_of_another_checkpoint(checkpoint):
    """An expert has other weights of the same size and distribution, with their scales."""
    for part in ("gate_proj", "up_proj", "down_proj"):
        codes = checkpoint[f"{LAYERS}1.experts.3.{part}.weight"]
        codes.array = checkpoint.random.permutation(codes.array, axis=1)


@kind("fp8-gate-and-up-exchanged", BASE, Seen.AGAINST, LAYERS + "1.experts.3.gate_proj", UP)
def gate_and_up_exchanged(checkpoint):
    """Gate and up of one expert have each other's weights."""
    checkpoint.swap_modules(LAYERS + "1.experts.3.gate_proj", UP)


@kind("fp8-scales-of-the-neighbour", BASE, Seen.AGAINST, UP)
def scales_of_the_neighbour(checkpoint):
    """One projection has the scales of the next expert."""
    checkpoint[UP + ".weight_scale"] = checkpoint[LAYERS + "1.experts.4.up_proj.weight_scale"].copy()


@kind("fp8-rows-shifted", BASE, Seen.AGAINST, O)
def rows_shifted(checkpoint):
    """The rows of a weight stand one place too low, those of its scales do not."""
    checkpoint[O + ".weight"].array = numpy.roll(checkpoint[O + ".weight"].array, 1, axis=0)


@kind("fp8-norm-changed", BASE, Seen.AGAINST, LAYERS + "2.post_feedforward_layernorm_1")
def norm_changed(checkpoint):
    """A norm has 1 subtracted, as another family of models wants it."""
    name = LAYERS + "2.post_feedforward_layernorm_1.weight"
    checkpoint[name].values = checkpoint[name].values - 1


@kind("fp8-router-rows-shifted", BASE, Seen.AGAINST, LAYERS + "1.router.proj")
def router_rows_shifted(checkpoint):
    """The rows of a router belong to other experts than they say."""
    name = LAYERS + "1.router.proj.weight"
    checkpoint[name].array = numpy.roll(checkpoint[name].array, 1, axis=0)


@kind("fp8-block-grid-turned", "wide-ct-fp8-block", Seen.OPENING, LAYERS + "0.self_attn.k_proj.weight_scale", "[2,1]", "[1,2]")
def block_grid_turned(checkpoint):
    """The grid of block scales is stored [columns, rows]."""
    changes.transpose(checkpoint, LAYERS + "0.self_attn.k_proj.weight_scale")


@kind("fp8-square-block-grid-turned", "wide-ct-fp8-block", Seen.AGAINST, LAYERS + "0.mlp.gate_proj")
def square_block_grid_turned(checkpoint):
    """A square grid of block scales is stored [columns, rows]."""
    changes.transpose(checkpoint, LAYERS + "0.mlp.gate_proj.weight_scale")


@kind("fp8-blocks-of-other-size", "wide-ct-fp8-block", Seen.OPENING, LAYERS + "0.experts.0.down_proj.weight_scale", "[2,1]",
      "[4,2]")
def blocks_of_other_size(checkpoint):
    """The configuration has blocks of 64 x 64 where the scales are those of 128 x 128."""
    checkpoint.weights_rule["block_structure"] = [64, 64]
