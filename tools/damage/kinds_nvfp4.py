"""NVFP4 as compressed-tensors and ModelOpt write it: two levels of scales, and two directions of the upper one."""

import numpy

from damage import changes, safetensors_file
from damage.changes import LAYERS
from damage.checkpoint import CHECKPOINTS
from damage.kind import Seen, kind

CT = "moe-ct-nvfp4"
MODELOPT = "moe-modelopt-nvfp4"
UP = LAYERS + "1.experts.3.up_proj"
GATE = LAYERS + "1.experts.3.gate_proj"
DOWN = LAYERS + "1.experts.3.down_proj"
E4M3_NAN = 0x7F
E4M3_MINUS = 0x80
E4M3_ONE = 0x38


@kind("nvfp4-global-scale-missing", CT, Seen.OPENING, UP, "weight_global_scale")
def global_scale_missing(checkpoint):
    """One projection has no global scale."""
    del checkpoint[UP + ".weight_global_scale"]


@kind("nvfp4-group-scales-missing", CT, Seen.OPENING, UP, "weight_scale")
def group_scales_missing(checkpoint):
    """One projection has no group scales."""
    del checkpoint[UP + ".weight_scale"]


@kind("nvfp4-global-scale-per-row", CT, Seen.OPENING, UP + ".weight_global_scale", "[32]")
def global_scale_per_row(checkpoint):
    """One projection has a global scale for each row."""
    name = UP + ".weight_global_scale"
    checkpoint[name].array = numpy.repeat(checkpoint[name].array, 32)


@kind("nvfp4-groups-of-32", CT, Seen.OPENING, UP + ".weight_scale", "[32,3]")
def groups_of_32(checkpoint):
    """One projection has a scale for each 32 inputs."""
    checkpoint[UP + ".weight_scale"].array = checkpoint[UP + ".weight_scale"].array[:, ::2]


@kind("nvfp4-global-scale-inverted", CT, Seen.LOADING, UP, "global scale", "wrong way round")
def global_scale_inverted(checkpoint):
    """A global scale, which divides, is stored as the factor that other dialects have."""
    checkpoint[UP + ".weight_global_scale"].array = 1 / checkpoint[UP + ".weight_global_scale"].array


@kind("nvfp4-global-scale-zero", CT, Seen.LOADING, UP, "global scale is 0")
def global_scale_zero(checkpoint):
    """A global scale was never written."""
    changes.set_value(checkpoint, UP + ".weight_global_scale", 0)


@kind("nvfp4-global-scale-nan", CT, Seen.LOADING, UP, "global scale is nan")
def global_scale_nan(checkpoint):
    """A global scale is NaN: the expert was never routed to in calibration."""
    changes.set_value(checkpoint, UP + ".weight_global_scale", numpy.nan)


@kind("nvfp4-global-scale-one", CT, Seen.VERIFY, DOWN)
def global_scale_one(checkpoint):
    """A global scale is 1, which producers write for a tensor of zeros, over codes that are not."""
    changes.set_value(checkpoint, DOWN + ".weight_global_scale", 1)


@kind("nvfp4-group-scale-nan", CT, Seen.LOADING, UP, "nan", "row 7 group 2")
def group_scale_nan(checkpoint):
    """One group scale is e4m3's NaN."""
    checkpoint[UP + ".weight_scale"].array[7, 2] = E4M3_NAN


@kind("nvfp4-group-scale-negative", CT, Seen.LOADING, UP, "row 7 group 2", "not negative")
def group_scale_negative(checkpoint):
    """One group scale has the wrong sign."""
    checkpoint[UP + ".weight_scale"].array[7, 2] |= E4M3_MINUS


@kind("nvfp4-group-scales-uninitialised", CT, Seen.LOADING, UP, "scale")
def group_scales_uninitialised(checkpoint):
    """The group scales of one projection are what memory held."""
    changes.fill_garbage(checkpoint, UP + ".weight_scale")


@kind("nvfp4-group-scales-zero", CT, Seen.VERIFY, UP, "zero")
def group_scales_zero(checkpoint):
    """The group scales of one projection were never written."""
    checkpoint[UP + ".weight_scale"].array[:] = 0


@kind("nvfp4-group-scale-zero", CT, Seen.VERIFY, UP, "zero")
def group_scale_zero(checkpoint):
    """One group scale is zero over codes that are not."""
    checkpoint[UP + ".weight_packed"].array[7, 16:24] = 0x22
    checkpoint[UP + ".weight_scale"].array[7, 2] = 0


@kind("nvfp4-gate-and-up-scales-differ", CT, Seen.VERIFY, GATE, "global scales of their own")
def gate_and_up_scales_differ(checkpoint):
    """Gate and up of one expert have different global scales, which engines that fuse the two do not survive."""
    changes.scale_values(checkpoint, GATE + ".weight_global_scale", 0.75)


@kind("nvfp4-nibbles-swapped", CT, Seen.AGAINST, DOWN)
def nibbles_swapped(checkpoint):
    """The codes of each pair are stored in the other order."""
    checkpoint[DOWN + ".weight_packed"].array = changes.swap_nibbles(checkpoint[DOWN + ".weight_packed"].array)


@kind("nvfp4-group-scales-shifted", CT, Seen.AGAINST, UP)
def group_scales_shifted(checkpoint):
    """The group scales of a row stand one group too far right."""
    checkpoint[UP + ".weight_scale"].array = numpy.roll(checkpoint[UP + ".weight_scale"].array, 1, axis=1)


@kind("nvfp4-tail-codes-stale", CT, Seen.AGAINST, UP)
def tail_codes_stale(checkpoint):
    """The codes of each row's last group are those of another expert."""
    other = checkpoint[LAYERS + "1.experts.6.up_proj.weight_packed"].array
    checkpoint[UP + ".weight_packed"].array[:, -8:] = other[:, -8:]


@kind("nvfp4-tail-scales-stale", CT, Seen.VERIFY, UP, "last 16 of 96 inputs")
def tail_scales_stale(checkpoint):
    """The scales of each row's last group still have the value 1 that they were made with."""
    checkpoint[UP + ".weight_scale"].array[:, -1] = E4M3_ONE


@kind("nvfp4-signs-lost", CT, Seen.AGAINST, UP)
def signs_lost(checkpoint):
    """All codes lost their sign."""
    checkpoint[UP + ".weight_packed"].array &= 0x77


@kind("modelopt-second-scale-missing", MODELOPT, Seen.OPENING, UP, "weight_scale_2")
def second_scale_missing(checkpoint):
    """One projection has no weight_scale_2."""
    del checkpoint[UP + ".weight_scale_2"]


@kind("modelopt-second-scale-inverted", MODELOPT, Seen.LOADING, UP, "global scale", "wrong way round")
def second_scale_inverted(checkpoint):
    """A weight_scale_2, which multiplies, is stored as the divisor that compressed-tensors has."""
    checkpoint[UP + ".weight_scale_2"].array = 1 / checkpoint[UP + ".weight_scale_2"].array


@kind("modelopt-second-scale-negative", MODELOPT, Seen.LOADING, UP, "global scale is -")
def second_scale_negative(checkpoint):
    """A weight_scale_2 has the wrong sign."""
    changes.scale_values(checkpoint, UP + ".weight_scale_2", -1)


@kind("modelopt-experts-left-bf16", MODELOPT, Seen.OPENING, "experts.0.down_proj", "BF16", "unquantised")
def experts_left_bf16(checkpoint):
    """The producer skipped every expert without saying so."""
    plain = safetensors_file.read(CHECKPOINTS / "moe-perexpert-bf16/model.safetensors")
    checkpoint.remove(".experts.")
    for name in plain:
        if ".experts." in name:
            checkpoint[name] = plain[name]


@kind("modelopt-other-algorithm", MODELOPT, Seen.OPENING, "experts.0.down_proj", "FP8")
def other_algorithm(checkpoint):
    """Both configurations name FP8 where the tensors are NVFP4."""
    checkpoint.quantization.update(quant_algo="FP8")
    checkpoint.quantization["config_groups"]["group_0"]["weights"] = {"dynamic": False, "num_bits": 8, "type": "float"}
    checkpoint.json["hf_quant_config.json"]["quantization"]["quant_algo"] = "FP8"


@kind("modelopt-packed-along-rows", MODELOPT, Seen.OPENING, UP + ".weight", "[16,96]")
def packed_along_rows(checkpoint):
    """The codes of one projection are packed along the outputs, as those of another algorithm."""
    checkpoint[UP + ".weight"].array = checkpoint[UP + ".weight"].array.reshape(16, 96)


@kind("modelopt-input-rescaled", MODELOPT, Seen.OPENING, UP, "pre_quant_scale")
def input_rescaled(checkpoint):
    """One projection wants its input scaled by a tensor that the algorithm does not have."""
    checkpoint[UP + ".pre_quant_scale"] = changes.bf16_like(checkpoint, (96,))


@kind("modelopt-group-scales-zero", MODELOPT, Seen.VERIFY, DOWN, "zero")
def modelopt_group_scales_zero(checkpoint):
    """The group scales of one projection were never written."""
    checkpoint[DOWN + ".weight_scale"].array[:] = 0


@kind("modelopt-second-scale-of-activations", MODELOPT, Seen.VERIFY, DOWN)
def second_scale_of_activations(checkpoint):
    """A weight_scale_2 has the value of the input_scale."""
    checkpoint[DOWN + ".weight_scale_2"].array = checkpoint[DOWN + ".input_scale"].array.copy()


@kind("modelopt-nibbles-swapped", MODELOPT, Seen.AGAINST, DOWN)
def modelopt_nibbles_swapped(checkpoint):
    """The codes of each pair are stored in the other order."""
    checkpoint[DOWN + ".weight"].array = changes.swap_nibbles(checkpoint[DOWN + ".weight"].array)


@kind("modelopt-experts-shifted", MODELOPT, Seen.AGAINST, LAYERS + "2.experts.1.")
def experts_shifted(checkpoint):
    """The experts of a layer are numbered from the second on."""
    for part in ("gate_proj", "up_proj", "down_proj"):
        for expert in range(7):
            checkpoint.swap_modules(f"{LAYERS}2.experts.{expert}.{part}", f"{LAYERS}2.experts.{expert + 1}.{part}")


@kind("modelopt-fp8-scale-missing", "dense-modelopt-fp8", Seen.OPENING, LAYERS + "1.mlp.up_proj", "weight_scale")
def fp8_scale_missing(checkpoint):
    """An FP8 weight has no scale."""
    del checkpoint[LAYERS + "1.mlp.up_proj.weight_scale"]
