"""A minimal writer of GGUF skeletons: metadata, a tokenizer of the published size, tensors whose data is a hole."""

import math
import struct

from . import shapes

ALIGNMENT = 32
# Name -> (ggml's number, elements of a block, bytes of a block).
TYPES = {"F32": (0, 1, 4), "Q4_0": (2, 32, 18), "Q5_0": (6, 32, 22), "Q8_0": (8, 32, 34), "Q4_K": (12, 256, 144),
         "Q5_K": (13, 256, 176), "Q6_K": (14, 256, 210)}
_UINT32, _INT32, _FLOAT32, _BOOL, _STRING, _ARRAY = 4, 5, 6, 7, 8, 9
_FORMATS = {_UINT32: "<I", _INT32: "<i", _FLOAT32: "<f", _BOOL: "<?"}
_MERGES = 514_906  # of Google's tokenizer

_MODEL_NAMES = {"embed_tokens.weight": "token_embd.weight", "norm.weight": "output_norm.weight"}
_LAYER_NAMES = {
    "input_layernorm.weight": "attn_norm.weight",
    "self_attn.q_proj.weight": "attn_q.weight",
    "self_attn.k_proj.weight": "attn_k.weight",
    "self_attn.v_proj.weight": "attn_v.weight",
    "self_attn.o_proj.weight": "attn_output.weight",
    "self_attn.q_norm.weight": "attn_q_norm.weight",
    "self_attn.k_norm.weight": "attn_k_norm.weight",
    "post_attention_layernorm.weight": "post_attention_norm.weight",
    "pre_feedforward_layernorm.weight": "ffn_norm.weight",
    "mlp.gate_proj.weight": "ffn_gate.weight",
    "mlp.up_proj.weight": "ffn_up.weight",
    "mlp.down_proj.weight": "ffn_down.weight",
    "post_feedforward_layernorm.weight": "post_ffw_norm.weight",
    "post_feedforward_layernorm_1.weight": "post_ffw_norm_1.weight",
    "pre_feedforward_layernorm_2.weight": "pre_ffw_norm_2.weight",
    "post_feedforward_layernorm_2.weight": "post_ffw_norm_2.weight",
    "layer_scalar": "layer_output_scale.weight",
    "router.proj.weight": "ffn_gate_inp.weight",
    "router.scale": "ffn_gate_inp.scale",
    "router.per_expert_scale": "ffn_down_exps.scale",
    "experts.gate_up_proj": "ffn_gate_up_exps.weight",
    "experts.down_proj": "ffn_down_exps.weight",
}


def _gguf_name(name):
    name = name.removeprefix("model.language_model.")
    if not name.startswith("layers."):
        return _MODEL_NAMES[name]
    _, layer, rest = name.split(".", 2)
    return f"blk.{layer}.{_LAYER_NAMES[rest]}"


def _string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _value(kind, value):
    return _string(value) if kind == _STRING else struct.pack(_FORMATS[kind], value)


def _entry(key, kind, value):
    """One entry of the metadata; a list is an array of `kind`."""
    if not isinstance(value, list):
        return _string(key) + struct.pack("<I", kind) + _value(kind, value)
    return _string(key) + struct.pack("<IIQ", _ARRAY, kind, len(value)) + b"".join(_value(kind, v) for v in value)


def _metadata(text):
    """The entries of a model that the text_config `text` describes, with a tokenizer of no sense."""
    is_full = [kind == shapes.FULL for kind in text["layer_types"]]
    kv_heads = text["num_key_value_heads"]
    full_kv_heads = text["num_global_key_value_heads"] or kv_heads
    at = "gemma4."
    entries = [("general.architecture", _STRING, "gemma4"), (at + "block_count", _UINT32, text["num_hidden_layers"]),
               (at + "embedding_length", _UINT32, text["hidden_size"]),
               (at + "context_length", _UINT32, text["max_position_embeddings"]),
               (at + "feed_forward_length", _UINT32, text["intermediate_size"]),
               (at + "attention.head_count", _UINT32, text["num_attention_heads"]),
               (at + "attention.head_count_kv", _INT32, [full_kv_heads if full else kv_heads for full in is_full]),
               (at + "attention.key_length", _UINT32, text["global_head_dim"]),
               (at + "attention.value_length", _UINT32, text["global_head_dim"]),
               (at + "attention.key_length_swa", _UINT32, text["head_dim"]),
               (at + "attention.value_length_swa", _UINT32, text["head_dim"]),
               (at + "attention.sliding_window", _UINT32, text["sliding_window"]),
               (at + "attention.sliding_window_pattern", _BOOL, [not full for full in is_full]),
               (at + "attention.layer_norm_rms_epsilon", _FLOAT32, text["rms_norm_eps"]),
               (at + "rope.freq_base", _FLOAT32, text["rope_parameters"][shapes.FULL]["rope_theta"]),
               (at + "rope.freq_base_swa", _FLOAT32, text["rope_parameters"][shapes.SLIDING]["rope_theta"]),
               (at + "final_logit_softcapping", _FLOAT32, text["final_logit_softcapping"])]
    if text["num_experts"]:
        entries += [(at + "expert_count", _UINT32, text["num_experts"]),
                    (at + "expert_used_count", _UINT32, text["top_k_experts"]),
                    (at + "expert_feed_forward_length", _UINT32, text["moe_intermediate_size"])]
    vocabulary = text["vocab_size"]
    entries += [("tokenizer.ggml.model", _STRING, "gemma4"),
                ("tokenizer.ggml.tokens", _STRING, [f"token{index}" for index in range(vocabulary)]),
                ("tokenizer.ggml.scores", _FLOAT32, [0.0] * vocabulary),
                ("tokenizer.ggml.token_type", _INT32, [1] * vocabulary),
                ("tokenizer.ggml.merges", _STRING, [f"a{index} b{index}" for index in range(_MERGES)])]
    return entries


def write_skeleton(path, text, tensors):
    """Writes one file; returns the size of its tensors in bytes.

    `tensors` are Stored ones under Hugging Face's names; those that are not quantised become float32. The rotary
    factors, which readers check, are real and come first.
    """
    pairs = text["global_head_dim"] // 2
    turning = int(pairs * text["rope_parameters"][shapes.FULL]["partial_rotary_factor"])
    factors = struct.pack(f"<{pairs}f", *[1.0] * turning, *[1e30] * (pairs - turning))
    stored = [("rope_freqs.weight", "F32", (pairs,))]
    stored += [(_gguf_name(each.name), "F32" if each.dtype == "BF16" else each.dtype, each.shape) for each in tensors]
    infos, offset = b"", 0
    for name, dtype, shape in stored:
        number, block, block_bytes = TYPES[dtype]
        infos += _string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *reversed(shape), number, offset)
        size = math.prod(shape) // block * block_bytes
        offset += size + -size % ALIGNMENT
    metadata = _metadata(text)
    with open(path, "wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQ", 3, len(stored), len(metadata)))
        for entry in metadata:
            file.write(_entry(*entry))
        file.write(infos)
        data = file.tell() + -file.tell() % ALIGNMENT
        file.seek(data)
        file.write(factors)
        file.truncate(data + offset)
    return offset
