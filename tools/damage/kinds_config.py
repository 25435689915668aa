"""A configuration that contradicts the tensors: of another model, or edited."""

from damage.changes import LAYERS
from damage.kind import Seen, kind

BASE = "moe-ct-fp8-dynamic"
Q = LAYERS + "0.self_attn.q_proj"


def text_fields(name, fields, *says, seen=Seen.OPENING):
    """Enters a kind that changes fields of text_config."""

    def damage(checkpoint):
        config = checkpoint.text_config
        assert all(config[field] != value for field, value in fields.items())
        config.update(fields)

    shown = ", ".join(f"`{field}` is {str(value).lower()}" for field, value in fields.items())
    damage.__doc__ = f"In config.json {shown}."
    kind(name, BASE, seen, *says)(damage)


SLIDING, FULL = "sliding_attention", "full_attention"

text_fields("config-fewer-experts", {"num_experts": 7}, "experts.7.down_proj", "num_experts 7")
text_fields("config-more-experts", {"num_experts": 9}, "layers.0.router.per_expert_scale", "[8]", "[9]")
text_fields("config-hidden-size", {"hidden_size": 128}, "embed_tokens.weight", "[512,96]", "[512,128]")
text_fields("config-mlp-width", {"intermediate_size": 128}, "mlp.down_proj", "[96,64]", "[96,128]")
text_fields("config-expert-width", {"moe_intermediate_size": 64}, "experts.0.down_proj", "[96,32]", "[96,64]")
text_fields("config-vocabulary", {"vocab_size": 500}, "embed_tokens.weight", "[512,96]", "[500,96]")
text_fields("config-heads", {"num_attention_heads": 8}, "self_attn.o_proj", "[96,128]", "[96,256]")
text_fields("config-heads-of-half-the-size", {"num_attention_heads": 8, "head_dim": 16, "num_key_value_heads": 4},
            "layers.0.self_attn.k_norm", "[32]", "[16]")
text_fields("config-kv-heads", {"num_key_value_heads": 4}, "layers.0.self_attn.k_proj", "[64,96]", "[128,96]")
text_fields("config-values-of-their-own", {"attention_k_eq_v": False}, "layers.1.self_attn.k_proj", "[64,96]",
            "[128,96]")
text_fields("config-fewer-layers", {"num_hidden_layers": 2, "layer_types": [SLIDING, FULL]}, "layers.2.",
            "num_hidden_layers 2")
text_fields("config-layer-types", {"layer_types": [FULL, SLIDING, SLIDING, FULL]}, "layers.0.self_attn.k_norm", "[32]",
            "[64]")
text_fields("config-layer-count", {"num_hidden_layers": 6}, "layer_types", "6 entries")
text_fields("config-no-experts", {"enable_moe_block": False}, "layers.0.experts.0.", "no place")
text_fields("config-per-layer-inputs", {"hidden_size_per_layer_input": 16}, "per_layer", "missing")
text_fields("config-experts-in-use", {"top_k_experts": 2}, "top_k_experts", seen=Seen.AGAINST)
text_fields("config-shared-keys", {"num_kv_shared_layers": 2}, "num_kv_shared_layers", seen=Seen.AGAINST)
text_fields("config-window", {"sliding_window": 4}, "sliding_window", seen=Seen.AGAINST)
text_fields("config-norm-epsilon", {"rms_norm_eps": 1e-5}, "rms_norm_eps", seen=Seen.AGAINST)


@kind("config-untied", BASE, Seen.OPENING, "lm_head", "missing")
def untied(checkpoint):
    """The head is said to be a matrix of its own, which is not there."""
    checkpoint.text_config["tie_word_embeddings"] = False
    checkpoint.json["config.json"]["tie_word_embeddings"] = False


@kind("config-of-another-family", BASE, Seen.OPENING, "gemma3", "model_type")
def another_family(checkpoint):
    """The configuration is that of another family of models."""
    checkpoint.json["config.json"]["model_type"] = "gemma3"
    checkpoint.text_config["model_type"] = "gemma3_text"


@kind("config-unquantised", BASE, Seen.OPENING, "down_proj", "not quantised")
def unquantised(checkpoint):
    """The section on quantisation was lost."""
    del checkpoint.json["config.json"]["quantization_config"]


@kind("config-other-method", BASE, Seen.OPENING, "down_proj", "gptq")
def other_method(checkpoint):
    """The section on quantisation is that of a GPTQ file."""
    checkpoint.json["config.json"]["quantization_config"] = {"quant_method": "gptq", "bits": 4, "group_size": 32}


@kind("config-unknown-method", BASE, Seen.OPENING, "quark")
def unknown_method(checkpoint):
    """The method is one that is not supported."""
    checkpoint.quantization["quant_method"] = "quark"


@kind("config-ignores-too-much", BASE, Seen.OPENING, Q, "not quantised")
def ignores_too_much(checkpoint):
    """A quantised module is in the list of those left alone."""
    checkpoint.quantization["ignore"].append(Q)


@kind("config-ignores-too-little", "moe-modelopt-nvfp4", Seen.OPENING, "layers.0.self_attn.k_proj", "BF16")
def ignores_too_little(checkpoint):
    """The attention of a layer, which is bf16, is not in the list of modules left alone."""
    name = "model.language_model.layers.0.self_attn*"
    checkpoint.quantization["ignore"].remove(name)
    checkpoint.json["hf_quant_config.json"]["quantization"]["exclude_modules"].remove(name)


def weights_rule(name, base, field, value, *says):
    """Enters a kind that changes one field of the rule for weights of compressed-tensors."""

    def damage(checkpoint):
        assert checkpoint.weights_rule[field] != value
        checkpoint.weights_rule[field] = value

    damage.__doc__ = f"`{field}` of the weights in quantization_config is {str(value).lower()}."
    kind(name, base, Seen.OPENING, *says)(damage)


weights_rule("config-strategy", BASE, "strategy", "tensor", LAYERS + "0.experts.0.down_proj", "strategy tensor")
weights_rule("config-type", BASE, "type", "int", LAYERS + "0.experts.0.down_proj", "type int")
weights_rule("config-fp8-bits", BASE, "num_bits", 4, LAYERS + "0.experts.0.down_proj", "num_bits 4")
weights_rule("config-nvfp4-group", "moe-ct-nvfp4", "group_size", 32, LAYERS + "0.experts.0.down_proj", "group_size 32")
weights_rule("config-int4-bits", "moe-ct-w4a16-g32", "num_bits", 8, LAYERS + "0.experts.0.down_proj.weight_packed",
             "[96,4]", "[96,8]")
weights_rule("config-int4-group", "moe-ct-w4a16-g32", "group_size", 16, LAYERS + "0.experts.0.down_proj.weight_scale",
             "[96,1]", "[96,2]")
weights_rule("config-int4-asymmetric", "moe-ct-w4a16-g32", "symmetric", False, LAYERS + "0.experts.0.down_proj",
             "no weight_zero_point")
weights_rule("config-int4-symmetric", "moe-ct-w4a16-g32-asym", "symmetric", True, LAYERS + "0.experts.0.down_proj",
             "symmetric")
