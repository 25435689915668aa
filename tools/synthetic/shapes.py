"""The published Gemma 4 sizes: their configurations, and the tensors that follow from a configuration."""

import dataclasses

SLIDING, FULL = "sliding_attention", "full_attention"

_COMMON = {
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 2,
    "dtype": "bfloat16",
    "enable_moe_block": False,
    "eos_token_id": 1,
    "final_logit_softcapping": 30.0,
    "global_head_dim": 512,
    "head_dim": 256,
    "hidden_activation": "gelu_pytorch_tanh",
    "hidden_size_per_layer_input": 0,
    "initializer_range": 0.02,
    "max_position_embeddings": 262144,
    "model_type": "gemma4_text",
    "moe_intermediate_size": None,
    "num_experts": None,
    "num_kv_shared_layers": 0,
    "pad_token_id": 0,
    "rms_norm_eps": 1e-06,
    "rope_parameters": {
        FULL: {"partial_rotary_factor": 0.25, "rope_theta": 1000000.0, "rope_type": "proportional"},
        SLIDING: {"rope_theta": 10000.0, "rope_type": "default"},
    },
    "sliding_window": 1024,
    "tie_word_embeddings": True,
    "top_k_experts": None,
    "use_bidirectional_attention": "vision",
    "use_cache": True,
    "use_double_wide_mlp": False,
    "vocab_size": 262144,
    "vocab_size_per_layer_input": 262144,
}
# In what the two E sizes differ from the larger ones.
_E_SERIES = {
    "attention_k_eq_v": False,
    "hidden_size_per_layer_input": 256,
    "max_position_embeddings": 131072,
    "num_attention_heads": 8,
    "num_global_key_value_heads": None,
    "sliding_window": 512,
    "use_bidirectional_attention": None,
}
# Name -> (how often a full-attention layer comes, what differs from _COMMON).
_SHAPES = {
    "26b": (6, dict(hidden_size=2816, intermediate_size=2112, num_hidden_layers=30, num_attention_heads=16,
                    num_key_value_heads=8, num_global_key_value_heads=2, attention_k_eq_v=True,
                    enable_moe_block=True, num_experts=128, top_k_experts=8, moe_intermediate_size=704)),
    "31b": (6, dict(hidden_size=5376, intermediate_size=21504, num_hidden_layers=60, num_attention_heads=32,
                    num_key_value_heads=16, num_global_key_value_heads=4, attention_k_eq_v=True)),
    "12b": (6, dict(hidden_size=3840, intermediate_size=15360, num_hidden_layers=48, num_attention_heads=16,
                    num_key_value_heads=8, num_global_key_value_heads=1, attention_k_eq_v=True,
                    model_type="gemma4_unified_text")),
    "e4b": (6, dict(_E_SERIES, hidden_size=2560, intermediate_size=10240, num_hidden_layers=42,
                    num_key_value_heads=2, num_kv_shared_layers=18)),
    "e2b": (5, dict(_E_SERIES, hidden_size=1536, intermediate_size=6144, num_hidden_layers=35,
                    num_key_value_heads=1, num_kv_shared_layers=20, use_double_wide_mlp=True)),
    # The 26B-A4B in miniature, for quick tests.
    "tiny": (3, dict(hidden_size=96, intermediate_size=80, num_hidden_layers=6, num_attention_heads=4, head_dim=32,
                     global_head_dim=64, num_key_value_heads=2, num_global_key_value_heads=1, attention_k_eq_v=True,
                     enable_moe_block=True, num_experts=8, top_k_experts=4, moe_intermediate_size=48,
                     sliding_window=64, max_position_embeddings=4096, vocab_size=512,
                     vocab_size_per_layer_input=512)),
}
NAMES = tuple(_SHAPES)

# The vision tower of the 26B-A4B and the 31B.
_VISION = {
    "attention_bias": False,
    "attention_dropout": 0.0,
    "default_output_length": 280,
    "head_dim": 72,
    "hidden_activation": "gelu_pytorch_tanh",
    "hidden_size": 1152,
    "initializer_range": 0.02,
    "intermediate_size": 4304,
    "max_position_embeddings": 131072,
    "model_type": "gemma4_vision",
    "num_attention_heads": 16,
    "num_hidden_layers": 27,
    "num_key_value_heads": 16,
    "patch_size": 16,
    "pooling_kernel_size": 3,
    "position_embedding_size": 10240,
    "rms_norm_eps": 1e-06,
    "rope_parameters": {"rope_theta": 100.0, "rope_type": "default"},
    "standardize": True,
    "use_clipped_linears": False,
}
_SIZES_WITH_VISION = ("26b", "31b")


@dataclasses.dataclass(frozen=True)
class Tensor:
    """One tensor of the network before a dialect spells it."""

    name: str  # without ".weight"
    shape: tuple  # row-major, [out, in] for a linear
    role: str  # attention, mlp, ple, router, experts (3-D), embedding, norm, head_norm, scalar, other
    suffix: str = ".weight"  # what the plain bf16 file appends to the name


def layer_types(period, count):
    """One full-attention layer every `period` layers; the last is always one."""
    return [FULL if layer % period == period - 1 or layer == count - 1 else SLIDING for layer in range(count)]


def make_config(name, layers=None, with_vision=False):
    """config.json of a size, with its first `layers` layers only (None: all).

    Raises ValueError when so few layers leave a layer that reuses keys and values without one to take them from.
    """
    period, fields = _SHAPES[name]
    text = {**_COMMON, **fields}
    count = layers or text["num_hidden_layers"]
    text["num_kv_shared_layers"] = text["num_kv_shared_layers"] * count // text["num_hidden_layers"]
    text["num_hidden_layers"] = count
    text["layer_types"] = layer_types(period, count)
    owners = text["layer_types"][: count - text["num_kv_shared_layers"]]
    if not set(text["layer_types"]) <= set(owners):
        raise ValueError(f"{name} with {count} layers has shared layers without a donor; use more layers")
    unified = text["model_type"].startswith("gemma4_unified")
    return {
        "architectures": ["Gemma4UnifiedForConditionalGeneration" if unified else "Gemma4ForConditionalGeneration"],
        "audio_config": None,
        "dtype": "bfloat16",
        "eos_token_id": [1, 106],
        "model_type": "gemma4_unified" if unified else "gemma4",
        "text_config": dict(sorted(text.items())),
        "tie_word_embeddings": True,
        "vision_config": _VISION if with_vision and name in _SIZES_WITH_VISION else None,
    }


def text_tensors(text, prefix="model.language_model."):
    """Yields the Tensors of the language model that the text_config `text` describes."""
    width, ple_width = text["hidden_size"], text.get("hidden_size_per_layer_input", 0)
    layers = text["num_hidden_layers"]
    yield Tensor(prefix + "embed_tokens", (text["vocab_size"], width), "embedding")
    if ple_width:
        yield Tensor(prefix + "embed_tokens_per_layer", (text["vocab_size"], layers * ple_width), "embedding")
        yield Tensor(prefix + "per_layer_model_projection", (layers * ple_width, width), "ple")
        yield Tensor(prefix + "per_layer_projection_norm", (ple_width,), "norm")
    for layer in range(layers):
        at = f"{prefix}layers.{layer}."
        yield from _attention_tensors(text, layer, at)
        yield from _feed_forward_tensors(text, layer, at)
        if ple_width:
            yield Tensor(at + "per_layer_input_gate", (ple_width, width), "ple")
            yield Tensor(at + "per_layer_projection", (width, ple_width), "ple")
            yield Tensor(at + "post_per_layer_input_norm", (width,), "norm")
        yield Tensor(at + "layer_scalar", (1,), "scalar", suffix="")
    yield Tensor(prefix + "norm", (width,), "norm")


def _reuses_kv(text, layer):
    return layer >= text["num_hidden_layers"] - text.get("num_kv_shared_layers", 0)


def _attention_tensors(text, layer, at):
    is_full = text["layer_types"][layer] == FULL
    keys_are_values = is_full and text["attention_k_eq_v"]
    head_dim = text["global_head_dim"] if is_full else text["head_dim"]
    kv_heads = text["num_key_value_heads"]
    if keys_are_values:
        kv_heads = text["num_global_key_value_heads"] or kv_heads
    width, heads = text["hidden_size"], text["num_attention_heads"]
    yield Tensor(at + "input_layernorm", (width,), "norm")
    yield Tensor(at + "self_attn.q_proj", (heads * head_dim, width), "attention")
    yield Tensor(at + "self_attn.q_norm", (head_dim,), "head_norm")
    if not _reuses_kv(text, layer):
        yield Tensor(at + "self_attn.k_proj", (kv_heads * head_dim, width), "attention")
        yield Tensor(at + "self_attn.k_norm", (head_dim,), "head_norm")
        if not keys_are_values:
            yield Tensor(at + "self_attn.v_proj", (kv_heads * head_dim, width), "attention")
    yield Tensor(at + "self_attn.o_proj", (width, heads * head_dim), "attention")
    yield Tensor(at + "post_attention_layernorm", (width,), "norm")


def _feed_forward_tensors(text, layer, at):
    width, inner = text["hidden_size"], text["intermediate_size"]
    if text["use_double_wide_mlp"] and _reuses_kv(text, layer):
        inner *= 2
    yield Tensor(at + "pre_feedforward_layernorm", (width,), "norm")
    yield Tensor(at + "mlp.gate_proj", (inner, width), "mlp")
    yield Tensor(at + "mlp.up_proj", (inner, width), "mlp")
    yield Tensor(at + "mlp.down_proj", (width, inner), "mlp")
    yield Tensor(at + "post_feedforward_layernorm", (width,), "norm")
    if not text.get("enable_moe_block"):
        return
    experts, expert_width = text["num_experts"], text["moe_intermediate_size"]
    yield Tensor(at + "post_feedforward_layernorm_1", (width,), "norm")
    yield Tensor(at + "pre_feedforward_layernorm_2", (width,), "norm")
    yield Tensor(at + "post_feedforward_layernorm_2", (width,), "norm")
    yield Tensor(at + "router.proj", (experts, width), "router")
    yield Tensor(at + "router.scale", (width,), "norm", suffix="")
    yield Tensor(at + "router.per_expert_scale", (experts,), "norm", suffix="")
    yield Tensor(at + "experts.gate_up_proj", (experts, 2 * expert_width, width), "experts", suffix="")
    yield Tensor(at + "experts.down_proj", (experts, width, expert_width), "experts", suffix="")


def vision_tensors(vision, text_width):
    """Yields the Tensors of the vision tower and its projection; no dialect quantises them."""
    width, inner = vision["hidden_size"], vision["intermediate_size"]
    at = "model.vision_tower."
    yield Tensor("model.embed_vision.embedding_projection", (text_width, width), "other")
    yield Tensor(at + "patch_embedder.input_proj", (width, 3 * vision["patch_size"] ** 2), "other")
    yield Tensor(at + "patch_embedder.position_embedding_table", (2, vision["position_embedding_size"], width),
                 "other", suffix="")
    for layer in range(vision["num_hidden_layers"]):
        yield from _vision_layer_tensors(vision, f"{at}encoder.layers.{layer}.", width, inner)
    yield Tensor(at + "std_bias", (width,), "other", suffix="")
    yield Tensor(at + "std_scale", (width,), "norm", suffix="")


def _vision_layer_tensors(vision, at, width, inner):
    attention_width = vision["num_attention_heads"] * vision["head_dim"]
    for norm in ("input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm",
                 "post_feedforward_layernorm"):
        yield Tensor(at + norm, (width,), "norm")
    for norm in ("q_norm", "k_norm"):
        yield Tensor(f"{at}self_attn.{norm}", (vision["head_dim"],), "head_norm")
    for linear in ("q_proj", "k_proj", "v_proj"):
        yield Tensor(f"{at}self_attn.{linear}.linear", (attention_width, width), "other")
    yield Tensor(f"{at}self_attn.o_proj.linear", (width, attention_width), "other")
    yield Tensor(f"{at}mlp.gate_proj.linear", (inner, width), "other")
    yield Tensor(f"{at}mlp.up_proj.linear", (inner, width), "other")
    yield Tensor(f"{at}mlp.down_proj.linear", (width, inner), "other")
