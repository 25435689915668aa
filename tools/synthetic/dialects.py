"""How each dialect spells the tensors of a model, and the quantization_config that goes with it.

Only names, dtypes and shapes are decided here. `fill` names the kind of values: see values.py.
"""

import dataclasses

from . import shapes


@dataclasses.dataclass(frozen=True)
class Stored:
    """One tensor as it stands in a file."""

    name: str
    dtype: str  # as safetensors writes it
    shape: tuple
    fill: str
    columns: int = 0  # of a weight: the number of inputs that its products sum over


def plain(tensor):
    fill = {"norm": "near_one", "scalar": "near_one", "head_norm": "head_norm", "embedding": "embedding",
            "router": "router"}.get(tensor.role, "weight")
    return [Stored(tensor.name + tensor.suffix, "BF16", tensor.shape, fill, tensor.shape[-1])]


def plain_linear(name, rows, columns):
    return [Stored(name + ".weight", "BF16", (rows, columns), "weight", columns)]


def fp8_channel(name, rows, columns):
    return [Stored(name + ".weight", "F8_E4M3", (rows, columns), "e4m3_codes", columns),
            Stored(name + ".weight_scale", "BF16", (rows, 1), "e4m3_row_scale", columns)]


def ct_nvfp4a16(name, rows, columns):
    return [Stored(name + ".weight_packed", "U8", (rows, columns // 2), "none"),
            Stored(name + ".weight_scale", "F8_E4M3", (rows, columns // 16), "none"),
            Stored(name + ".weight_global_scale", "F32", (1,), "none")]


def ct_nvfp4(name, rows, columns):
    return ct_nvfp4a16(name, rows, columns) + [Stored(name + ".input_global_scale", "F32", (1,), "none")]


def modelopt_nvfp4(name, rows, columns):
    return [Stored(name + ".weight", "U8", (rows, columns // 2), "none"),
            Stored(name + ".weight_scale", "F8_E4M3", (rows, columns // 16), "none"),
            Stored(name + ".weight_scale_2", "F32", (), "none"),
            Stored(name + ".input_scale", "F32", (), "none")]


def _ct_kv_scales(attention):
    return [Stored(f"{attention}.{part}_scale", "BF16", (1,), "none") for part in "kv"]


def _modelopt_kv_scales(attention):
    return [Stored(f"{attention}.{part}_proj.{part}_scale", "F32", (), "none") for part in "kv"]


@dataclasses.dataclass(frozen=True)
class Dialect:
    """`linears` spells the 2-D linears of a role; roles that it lacks stay bf16, experts without it stay fused."""

    linears: dict
    quantization_config: dict | None = None
    kv_scales: object = None  # spells the two cache scales of a layer
    has_values: bool = False  # values.py can fill it


def _ct_group(bits, strategy, activations=None, **extra):
    weights = dict(num_bits=bits, type="float", symmetric=True, strategy=strategy, dynamic=False, **extra)
    return {"targets": ["Linear"], "weights": weights, "input_activations": activations, "output_activations": None}


def _ct_config(layout, groups):
    return {"quant_method": "compressed-tensors", "quantization_status": "compressed", "format": layout,
            "config_groups": groups, "ignore": ["lm_head", "re:.*router.*", "re:.*vision.*", "re:.*embed.*"],
            "kv_cache_scheme": None}


_FP8_ACTIVATIONS = dict(num_bits=8, type="float", symmetric=True, strategy="token", dynamic=True)
_FP4_ACTIVATIONS = dict(num_bits=4, type="float", symmetric=True, strategy="tensor_group", group_size=16,
                        dynamic="local")
_FP8_GROUP = _ct_group(8, "channel", _FP8_ACTIVATIONS, group_size=None)
_NVFP4_GROUP = _ct_group(4, "tensor_group", _FP4_ACTIVATIONS, group_size=16)
_NVFP4A16_GROUP = _ct_group(4, "tensor_group", group_size=16)
_MIXED_GROUPS = {
    "group_0": {**_FP8_GROUP, "format": "float-quantized", "targets": [r"re:.*self_attn\.(q|k|v|o)_proj$"]},
    "group_1": {**_NVFP4_GROUP, "format": "nvfp4-pack-quantized",
                "targets": [r"re:.*mlp\.(gate|up|down)_proj$", r"re:.*experts\.\d+\.(gate|up|down)_proj$"]},
}
_MODELOPT_CONFIG = {
    "quant_method": "modelopt", "quant_algo": "NVFP4", "producer": {"name": "modelopt"},
    "config_groups": {"group_0": {"targets": ["Linear"],
                                  "weights": {"num_bits": 4, "type": "float", "group_size": 16, "dynamic": False},
                                  "input_activations": {"num_bits": 4, "type": "float", "group_size": 16,
                                                        "dynamic": False}}},
    "ignore": ["lm_head", "model.vision_tower*", "model.embed_vision*", "*router*", "*self_attn*", "*.mlp.*"],
}


def _every(spell):
    return {role: spell for role in ("attention", "mlp", "ple", "experts")}


DIALECTS = {
    "bf16": Dialect({}, has_values=True),
    "bf16-per-expert": Dialect({"experts": plain_linear}, has_values=True),
    "ct-fp8-dynamic": Dialect(_every(fp8_channel), _ct_config("float-quantized", {"group_0": _FP8_GROUP}),
                              has_values=True),
    "ct-nvfp4": Dialect(_every(ct_nvfp4), _ct_config("nvfp4-pack-quantized", {"group_0": _NVFP4_GROUP})),
    "ct-nvfp4a16": Dialect(_every(ct_nvfp4a16), _ct_config("nvfp4-pack-quantized", {"group_0": _NVFP4A16_GROUP})),
    "ct-mixed": Dialect({"attention": fp8_channel, "mlp": ct_nvfp4, "experts": ct_nvfp4},
                        _ct_config("mixed-precision", _MIXED_GROUPS), _ct_kv_scales),
    "modelopt-nvfp4-experts": Dialect({"experts": modelopt_nvfp4}, _MODELOPT_CONFIG, _modelopt_kv_scales),
}


def _spell_experts(tensor, spell):
    """The 3-D tensor of all experts as one linear per expert and projection; rows of gate come before those of up."""
    count, rows, columns = tensor.shape
    at, _, projection = tensor.name.rpartition(".")
    parts = ("gate_proj", "up_proj") if projection == "gate_up_proj" else ("down_proj",)
    return [stored for expert in range(count) for part in parts
            for stored in spell(f"{at}.{expert}.{part}", rows // len(parts), columns)]


def stored_tensors(dialect, config, with_kv_scales=False):
    """The Stored tensors of a whole checkpoint, in the order of the network."""
    result = []
    tensors = list(shapes.text_tensors(config["text_config"]))
    if config["vision_config"]:
        tensors += shapes.vision_tensors(config["vision_config"], config["text_config"]["hidden_size"])
    for tensor in tensors:
        spell = dialect.linears.get(tensor.role)
        if spell is None:
            result += plain(tensor)
        elif tensor.role == "experts":
            result += _spell_experts(tensor, spell)
        else:
            result += spell(tensor.name, *tensor.shape)
        if with_kv_scales and tensor.name.endswith("self_attn.q_proj"):
            result += dialect.kv_scales(tensor.name.removesuffix(".q_proj"))
    return result
