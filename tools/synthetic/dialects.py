"""How each dialect spells the tensors of a model, and the quantization_config that goes with it.

Only names, dtypes and shapes are decided here. `fill` names the kind of values: see values.py.
"""

import dataclasses
import json

from . import shapes


# The projections in each 3-D tensor of experts, from the first row down.
_PARTS = {"gate_up_proj": ("gate_proj", "up_proj"), "down_proj": ("down_proj",)}


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


def fp8_tensor(name, rows, columns):
    return [Stored(name + ".weight", "F8_E4M3", (rows, columns), "none"),
            Stored(name + ".weight_scale", "BF16", (1,), "none"),
            Stored(name + ".input_scale", "BF16", (1,), "none")]


def fp8_block(name, rows, columns):
    return [Stored(name + ".weight", "F8_E4M3", (rows, columns), "none"),
            Stored(name + ".weight_scale", "BF16", (_groups(rows, 128), _groups(columns, 128)), "none")]


def fp8_fine(name, rows, columns):
    return [Stored(name + ".weight", "F8_E4M3", (rows, columns), "none"),
            Stored(name + ".weight_scale_inv", "F32", (_groups(rows, 128), _groups(columns, 128)), "none")]


def fp8_fine_fused(name, count, rows, columns):
    return [Stored(name, "F8_E4M3", (count, rows, columns), "none"),
            Stored(name + "_scale_inv", "F32", (count, _groups(rows, 128), _groups(columns, 128)), "none")]


def ct_int8(name, rows, columns):
    return [Stored(name + ".weight", "I8", (rows, columns), "none"),
            Stored(name + ".weight_scale", "BF16", (rows, 1), "none")]


def ct_mxfp4(name, rows, columns):
    return [Stored(name + ".weight_packed", "U8", (rows, columns // 2), "none"),
            Stored(name + ".weight_scale", "U8", (rows, columns // 32), "none")]


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


def ct_int4(name, rows, columns):
    return [Stored(name + ".weight_packed", "I32", (rows, columns // 8), "none"),
            Stored(name + ".weight_scale", "BF16", (rows, columns // 32), "none"),
            Stored(name + ".weight_shape", "I64", (2,), "none")]


def ct_int4_fused(name, count, rows, columns):
    return [Stored(name + "_packed", "I32", (count, rows, columns // 8), "none"),
            Stored(name + "_scale", "BF16", (count, rows, columns // 32), "none")]


def fp8_fused(name, count, rows, columns):
    return [Stored(name, "F8_E4M3", (count, rows, columns), "none"),
            Stored(name + "_scale", "BF16", (count, rows), "none")]


def _groups(columns, size):
    """How many groups cover the columns; the last may be short."""
    return -(-columns // size)


def auto_round(name, rows, columns):
    return [Stored(name + ".qweight", "I32", (columns // 8, rows), "none"),
            Stored(name + ".qzeros", "I32", (_groups(columns, 128), rows // 8), "none"),
            Stored(name + ".scales", "F16", (_groups(columns, 128), rows), "none")]


def gptq(name, rows, columns):
    return auto_round(name, rows, columns) + [Stored(name + ".g_idx", "I32", (columns,), "none")]


def awq(name, rows, columns):
    return [Stored(name + ".qweight", "I32", (columns, rows // 8), "none"),
            Stored(name + ".qzeros", "I32", (_groups(columns, 128), rows // 8), "none"),
            Stored(name + ".scales", "F16", (_groups(columns, 128), rows), "none")]


def bnb_nf4(name, rows, columns):
    blocks = rows * columns // 64
    return [Stored(name + ".weight", "U8", (rows * columns // 2, 1), "none"),
            Stored(name + ".weight.absmax", "U8", (blocks,), "none"),
            Stored(name + ".weight.nested_absmax", "F32", (_groups(blocks, 256),), "none"),
            Stored(name + ".weight.nested_quant_map", "F32", (256,), "none"),
            Stored(name + ".weight.quant_map", "F32", (16,), "none"),
            Stored(name + ".weight.quant_state.bitsandbytes__nf4", "U8", (len(nf4_state(rows, columns)),), "none")]


def nf4_state(rows, columns):
    """What bitsandbytes writes beside a weight, as bytes."""
    state = {"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": [rows, columns],
             "nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": 0.0625}
    return json.dumps(state).encode()


def _mlx(name, shape, bits=4):
    *outer, columns = shape
    return [Stored(name + ".weight", "U32", (*outer, columns * bits // 32), "none"),
            Stored(name + ".scales", "BF16", (*outer, columns // 64), "none"),
            Stored(name + ".biases", "BF16", (*outer, columns // 64), "none")]


def _mlx_bits(bits):
    return lambda name, rows, columns: _mlx(name, (rows, columns), bits)


def _mlx_stacked(bits):
    def spell(name, count, rows, columns):
        at, _, projection = name.rpartition(".")
        parts = _PARTS[projection]
        return [stored for part in parts
                for stored in _mlx(f"{at}.switch_glu.{part}", (count, rows // len(parts), columns), bits)]

    return spell


def _gguf(dtype):
    return lambda name, rows, columns: [Stored(name + ".weight", dtype, (rows, columns), "none")]


def _gguf_fused(dtype):
    return lambda name, count, rows, columns: [Stored(name, dtype, (count, rows, columns), "none")]


def _ct_kv_scales(attention):
    return [Stored(f"{attention}.{part}_scale", "BF16", (1,), "none") for part in "kv"]


def _modelopt_kv_scales(attention):
    return [Stored(f"{attention}.{part}_proj.{part}_scale", "F32", (), "none") for part in "kv"]


@dataclasses.dataclass(frozen=True)
class Dialect:
    """`linears` spells the 2-D linears of a role; roles that it lacks stay bf16, experts without it stay fused."""

    linears: dict
    quantization_config: dict | None = None
    config_key: str = "quantization_config"  # where it stands in config.json
    kv_scales: object = None  # spells the two cache scales of a layer
    has_values: bool = False  # values.py can fill it
    fused_experts: object = None  # spells the 3-D tensor of all experts
    prefix: str = "model.language_model."
    has_towers: bool = True
    is_gguf: bool = False


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


_INT4_WEIGHTS = dict(num_bits=4, type="int", symmetric=True, strategy="group", group_size=32, dynamic=False)
_INT4_GROUP = {"targets": ["Linear"], "format": "pack-quantized", "weights": _INT4_WEIGHTS,
               "input_activations": None, "output_activations": None}
_AUTO_ROUND_CONFIG = {"quant_method": "auto-round", "bits": 4, "group_size": 128, "sym": True, "data_type": "int",
                      "packing_format": "auto_round:auto_gptq", "block_name_to_quantize": "model.language_model.layers",
                      "autoround_version": "0.16.1"}
_GPTQ_CONFIG = {"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False, "sym": True,
                "checkpoint_format": "gptq", "lm_head": False, "pack_dtype": "int32"}
_ACT_ORDER_CONFIG = {**_GPTQ_CONFIG, "desc_act": True}
_AWQ_CONFIG = {"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemm", "zero_point": True,
               "modules_to_not_convert": ["lm_head", "router", "vision_tower", "embed_vision"]}
_NF4_CONFIG = {"quant_method": "bitsandbytes", "load_in_4bit": True, "load_in_8bit": False,
               "bnb_4bit_compute_dtype": "bfloat16", "bnb_4bit_quant_storage": "uint8", "bnb_4bit_quant_type": "nf4",
               "bnb_4bit_use_double_quant": True,
               "llm_int8_skip_modules": ["lm_head", "model.vision_tower", "model.embed_vision", "router"]}
_FINE_FP8_CONFIG = {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [128, 128],
                    "modules_to_not_convert": ["lm_head", "model.vision_tower", "model.embed_vision", "router.proj"]}
_FP8_STATIC_GROUP = _ct_group(8, "tensor", dict(num_bits=8, type="float", symmetric=True, strategy="tensor",
                                                dynamic=False))
_FP8_BLOCK_GROUP = _ct_group(8, "block", dict(num_bits=8, type="float", symmetric=True, strategy="group",
                                              group_size=128, dynamic=True), block_structure=[128, 128])
_MXFP4_GROUP = _ct_group(4, "group", group_size=32, scale_dtype="torch.uint8")
_INT8_GROUP = {"targets": ["Linear"], "input_activations": None, "output_activations": None,
               "weights": dict(num_bits=8, type="int", symmetric=True, strategy="channel", dynamic=False)}


def _mlx_config(bits):
    """Routers have 8 bits."""
    return {"group_size": 64, "bits": bits, "mode": "affine",
            **{f"language_model.model.layers.{layer}.router.proj": {"group_size": 64, "bits": 8}
               for layer in range(30)}}


def _every(spell):
    return {role: spell for role in ("attention", "mlp", "ple", "experts")}


def _mlx_dialect(bits):
    return Dialect({**_every(_mlx_bits(bits)), "embedding": _mlx_bits(bits), "router": _mlx_bits(8)}, _mlx_config(bits),
                   "quantization", fused_experts=_mlx_stacked(bits), prefix="language_model.model.", has_towers=False)


def _gguf_dialect(dtype, embedding):
    return Dialect({**_every(_gguf(dtype)), "embedding": _gguf(embedding)}, fused_experts=_gguf_fused(dtype),
                   has_towers=False, is_gguf=True)


DIALECTS = {
    "bf16": Dialect({}, has_values=True),
    "bf16-per-expert": Dialect({"experts": plain_linear}, has_values=True),
    "ct-fp8-dynamic": Dialect(_every(fp8_channel), _ct_config("float-quantized", {"group_0": _FP8_GROUP}),
                              has_values=True),
    "ct-nvfp4": Dialect(_every(ct_nvfp4), _ct_config("nvfp4-pack-quantized", {"group_0": _NVFP4_GROUP})),
    "ct-nvfp4a16": Dialect(_every(ct_nvfp4a16), _ct_config("nvfp4-pack-quantized", {"group_0": _NVFP4A16_GROUP})),
    "ct-mixed": Dialect({"attention": fp8_channel, "mlp": ct_nvfp4, "experts": ct_nvfp4},
                        _ct_config("mixed-precision", _MIXED_GROUPS), kv_scales=_ct_kv_scales),
    "modelopt-nvfp4-experts": Dialect({"experts": modelopt_nvfp4}, _MODELOPT_CONFIG, kv_scales=_modelopt_kv_scales),
    "ct-fused-int4": Dialect(_every(ct_int4), _ct_config("pack-quantized", {"group_0": _INT4_GROUP}),
                             fused_experts=ct_int4_fused),
    "fused-fp8": Dialect({}, fused_experts=fp8_fused),
    "auto-round": Dialect({**_every(auto_round), "router": auto_round}, _AUTO_ROUND_CONFIG),
    "gptq": Dialect(_every(gptq), _GPTQ_CONFIG),
    "gptq-act-order": Dialect(_every(gptq), _ACT_ORDER_CONFIG),
    "awq": Dialect(_every(awq), _AWQ_CONFIG),
    "bnb-nf4": Dialect({"attention": bnb_nf4, "mlp": bnb_nf4, "ple": bnb_nf4}, _NF4_CONFIG),
    "ct-fp8-static": Dialect(_every(fp8_tensor), _ct_config("float-quantized", {"group_0": _FP8_STATIC_GROUP})),
    "ct-fp8-block": Dialect(_every(fp8_block), _ct_config("float-quantized", {"group_0": _FP8_BLOCK_GROUP})),
    "hf-fp8": Dialect(_every(fp8_fine), _FINE_FP8_CONFIG, fused_experts=fp8_fine_fused),
    "ct-mxfp4": Dialect(_every(ct_mxfp4), _ct_config("mxfp4-pack-quantized", {"group_0": _MXFP4_GROUP})),
    "ct-int8": Dialect(_every(ct_int8), _ct_config("int-quantized", {"group_0": _INT8_GROUP})),
    "mlx-4bit": _mlx_dialect(4),
    "mlx-5bit": _mlx_dialect(5),
    "mlx-6bit": _mlx_dialect(6),
    "mlx-8bit": _mlx_dialect(8),
    "gguf-q4_0": _gguf_dialect("Q4_0", "Q6_K"),
    "gguf-q5_0": _gguf_dialect("Q5_0", "Q5_0"),
    "gguf-q8_0": _gguf_dialect("Q8_0", "Q8_0"),
    "gguf-q4_k": _gguf_dialect("Q4_K", "Q6_K"),
    "gguf-q5_k": _gguf_dialect("Q5_K", "Q6_K"),
    "gguf-q6_k": _gguf_dialect("Q6_K", "Q6_K"),
}


def _spell_experts(tensor, spell):
    """The 3-D tensor of all experts as one linear per expert and projection; rows of gate come before those of up."""
    count, rows, columns = tensor.shape
    at, _, projection = tensor.name.rpartition(".")
    parts = _PARTS[projection]
    return [stored for expert in range(count) for part in parts
            for stored in spell(f"{at}.{expert}.{part}", rows // len(parts), columns)]


def stored_tensors(dialect, config, with_kv_scales=False):
    """The Stored tensors of a whole checkpoint, in the order of the network."""
    result = []
    tensors = list(shapes.text_tensors(config["text_config"], dialect.prefix))
    if config["vision_config"]:
        tensors += shapes.vision_tensors(config["vision_config"], config["text_config"]["hidden_size"])
    for tensor in tensors:
        spell = dialect.linears.get(tensor.role)
        if tensor.role == "experts" and dialect.fused_experts:
            result += dialect.fused_experts(tensor.name, *tensor.shape)
        elif spell is None:
            result += plain(tensor)
        elif tensor.role == "experts":
            result += _spell_experts(tensor, spell)
        else:
            result += spell(tensor.name, *tensor.shape)
        if with_kv_scales and tensor.name.endswith("self_attn.q_proj"):
            result += dialect.kv_scales(tensor.name.removesuffix(".q_proj"))
    return result
