#!/usr/bin/env python3
"""Writes GGUF files with the `gguf` package, for tests of Beryl's reader.

    python3 tools/make_gguf_vectors.py blocks testdata/gguf/blocks.gguf
    python3 tools/make_gguf_vectors.py tokenizer models/demo testdata/gguf/tokenizer.gguf
    python3 tools/make_gguf_vectors.py model models/demo demo.gguf --type bf16 --pad 32

blocks: a matrix of each type, named by it, and beside it NAME.values, what the package's dequantiser makes of it. The
first row comes from the package's quantiser where it has one; the others are random bytes whose scales are finite.
tokenizer: no tensors, the tokenizer and chat template of a directory, as llama.cpp's converter writes them.
model: the same with the weights of a checkpoint in bf16; matrices keep their type or become Q8_0, all else float32.
--pad makes the dense MLP and the experts wider by as many zeros, as files do whose blocks do not divide these widths.

Needs `gguf` (0.19.0 wrote the files in the tree) and numpy. The result depends only on the arguments.
"""

import argparse
import json
import pathlib

import gguf
import numpy as np

ROWS, COLS = 4, 512
# Where the float16 scales lie in a block of each type.
SCALE_OFFSETS = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q4_K": [0, 2], "Q5_K": [0, 2],
                 "Q6_K": [208]}
# Tokens that llama.cpp shows when it decodes, so that its parser of answers sees them.
SHOWN_TOKENS = {"<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>", '<|"|>'}
# Parameters that the package's table of names does not know: the converter handles them by hand.
OWN_NAMES = {
    "layer_scalar": "layer_output_scale.weight",
    "router.proj.weight": "ffn_gate_inp.weight",
    "router.scale": "ffn_gate_inp.scale",
    "router.per_expert_scale": "ffn_down_exps.scale",
    "experts.gate_up_proj": "ffn_gate_up_exps.weight",
    "experts.down_proj": "ffn_down_exps.weight",
}


def quantise(values, kind):
    """Rows of `values` as bytes of a type, or None where the package cannot."""
    try:
        return gguf.quants.quantize(values, kind).view(np.uint8)
    except NotImplementedError:
        return None


def random_blocks(kind, rows, generator):
    """Rows of random bytes whose scales are finite float16 numbers of any sign, zero and subnormal among them."""
    block_elements, block_bytes = gguf.GGML_QUANT_SIZES[kind]
    count = COLS // block_elements
    blocks = generator.integers(0, 256, (rows, count, block_bytes), dtype=np.uint8)
    if kind.name in ("F16", "BF16", "F32"):
        width = {"F16": np.float16, "BF16": np.float32, "F32": np.float32}[kind.name]
        values = generator.normal(0, 1, (rows, COLS)).astype(width)
        values[:, :4] = [0, -0.0, 6e-8, -65504]
        if kind.name == "BF16":
            return (values.view(np.uint32) >> 16).astype(np.uint16).view(np.uint8).reshape(rows, -1)
        return values.view(np.uint8).reshape(rows, -1)
    for offset in SCALE_OFFSETS[kind.name]:
        scales = generator.normal(0, 0.1, (rows, count)).astype(np.float16)
        scales[-1, 0] = 0
        scales[-1, -1] = np.float16(6e-8)
        blocks[:, :, offset:offset + 2] = scales[..., None].view(np.uint8)
    return blocks.reshape(rows, -1)


def write_blocks(out):
    """Writes the file of `blocks`."""
    writer = gguf.GGUFWriter(out, "gemma4")
    generator = np.random.default_rng(1)
    kinds = ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"]
    for kind in (gguf.GGMLQuantizationType[name] for name in kinds):
        rows = random_blocks(kind, ROWS, generator)
        first = quantise(generator.normal(0, 1, (1, COLS)).astype(np.float32), kind)
        if first is not None:
            rows = np.concatenate([first, rows[1:]])
        values = gguf.quants.dequantize(rows, kind).astype(np.float32).reshape(ROWS, COLS)
        assert np.isfinite(values).all(), kind
        writer.add_tensor(kind.name, rows, raw_dtype=kind)
        writer.add_tensor(f"{kind.name}.values", values)
    finish(writer)


def add_tokenizer(writer, directory):
    """The keys `tokenizer.*` of a directory with tokenizer.json and chat_template.jinja."""
    file = json.loads((directory / "tokenizer.json").read_text())
    vocabulary = sorted(file["model"]["vocab"], key=file["model"]["vocab"].get)
    special = {token["content"] for token in file["added_tokens"]}
    kinds = []
    for token in vocabulary:
        kind = gguf.TokenType.NORMAL
        if token.startswith("<0x"):
            kind = gguf.TokenType.BYTE
        elif token in SHOWN_TOKENS:
            kind = gguf.TokenType.USER_DEFINED
        elif token in special:
            kind = gguf.TokenType.CONTROL
        kinds.append(kind)
    writer.add_tokenizer_model("gemma4")
    writer.add_token_list(vocabulary)
    writer.add_token_scores([-1000.0] * len(vocabulary))
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(merge) for merge in file["model"]["merges"]])
    for name in ("bos", "eos", "unk", "pad"):
        getattr(writer, f"add_{name}_token_id")(vocabulary.index(f"<{name}>"))
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(False)
    writer.add_chat_template((directory / "chat_template.jinja").read_text())


def read_checkpoint(file):
    """Name and bf16 values of each tensor of a safetensors file, as uint16 in its shape."""
    data = file.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + length])
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        assert entry["dtype"] == "BF16", name
        begin, end = entry["data_offsets"]
        yield name, np.frombuffer(data[8 + length + begin:8 + length + end], np.uint16).reshape(entry["shape"])


def add_configuration(writer, text):
    """The keys `gemma4.*` from the text part of config.json."""
    slides = [kind == "sliding_attention" for kind in text["layer_types"]]
    sliding_heads = text["num_key_value_heads"]
    full_heads = text["num_global_key_value_heads"] if text["attention_k_eq_v"] else sliding_heads
    rotary = text["rope_parameters"]
    for name, value in {
            "block_count": len(slides), "context_length": text["max_position_embeddings"],
            "embedding_length": text["hidden_size"], "feed_forward_length": text["intermediate_size"],
            "attention.head_count": text["num_attention_heads"], "expert_count": text["num_experts"],
            "expert_used_count": text["top_k_experts"], "expert_feed_forward_length": text["moe_intermediate_size"],
            "attention.key_length": text["global_head_dim"], "attention.value_length": text["global_head_dim"],
            "attention.key_length_swa": text["head_dim"], "attention.value_length_swa": text["head_dim"],
            "rope.dimension_count": text["global_head_dim"], "rope.dimension_count_swa": text["head_dim"],
            "attention.sliding_window": text["sliding_window"],
            "attention.shared_kv_layers": text["num_kv_shared_layers"],
            "embedding_length_per_layer_input": text["hidden_size_per_layer_input"]}.items():
        writer.add_uint32(f"gemma4.{name}", value)
    for name, value in {
            "rope.freq_base": rotary["full_attention"]["rope_theta"],
            "rope.freq_base_swa": rotary["sliding_attention"]["rope_theta"],
            "attention.layer_norm_rms_epsilon": text["rms_norm_eps"],
            "final_logit_softcapping": text["final_logit_softcapping"]}.items():
        writer.add_float32(f"gemma4.{name}", value)
    writer.add_array("gemma4.attention.head_count_kv", [sliding_heads if s else full_heads for s in slides])
    writer.add_array("gemma4.attention.sliding_window_pattern", slides)
    pairs = text["global_head_dim"] // 2
    turning = int(pairs * rotary["full_attention"]["partial_rotary_factor"])
    factors = np.array([1.0] * turning + [1e30] * (pairs - turning), np.float32)
    writer.add_tensor("rope_freqs.weight", factors)


def pad_width(name, values, width):
    """The values of a Hugging Face tensor with `width` more zeros, if the inner width of an MLP is among its sides."""
    if name.endswith("experts.gate_up_proj"):
        halves = values.reshape(len(values), 2, -1, values.shape[-1])  # gate rows, then up rows: each is padded
        return np.pad(halves, [(0, 0), (0, 0), (0, width), (0, 0)]).reshape(len(values), -1, values.shape[-1])
    if name.endswith(("mlp.gate_proj.weight", "mlp.up_proj.weight")):
        return np.pad(values, [(0, width), (0, 0)])
    if name.endswith(("mlp.down_proj.weight", "experts.down_proj")):
        return np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, width)])
    return values


def gguf_name(name, table):
    """The name of a Hugging Face tensor of the text model in a GGUF file."""
    name = name.replace("model.language_model.", "model.")
    for ending, own in OWN_NAMES.items():
        if name.endswith("." + ending):
            return f"blk.{name.split('.')[2]}.{own}"
    return table.get_name(name, (".weight",))


def write_model(directory, out, kind, padding):
    """Writes the file of `model`."""
    text = json.loads((directory / "config.json").read_text())["text_config"]
    text["intermediate_size"] += padding
    text["moe_intermediate_size"] += padding
    writer = gguf.GGUFWriter(out, "gemma4")
    generation = json.loads((directory / "generation_config.json").read_text())
    writer.add_int32("general.sampling.top_k", generation["top_k"])
    writer.add_float32("general.sampling.top_p", generation["top_p"])
    writer.add_float32("general.sampling.temp", generation["temperature"])
    add_configuration(writer, text)
    table = gguf.get_tensor_name_map(gguf.MODEL_ARCH.GEMMA4, text["num_hidden_layers"])
    for name, values in read_checkpoint(directory / "model.safetensors"):
        renamed = gguf_name(name, table)
        assert renamed, name
        values = pad_width(name, values, padding)
        wide = (values.astype(np.uint32) << 16).view(np.float32)
        if values.ndim == 1 or ".ffn_gate_inp." in renamed:
            writer.add_tensor(renamed, wide)
        elif kind == "bf16":
            writer.add_tensor(renamed, values.view(np.uint8), raw_dtype=gguf.GGMLQuantizationType.BF16)
        else:
            quantised = gguf.quants.quantize(wide, gguf.GGMLQuantizationType.Q8_0)
            writer.add_tensor(renamed, quantised, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    add_tokenizer(writer, directory)
    finish(writer)


def finish(writer):
    """Writes all that was added."""
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("blocks").add_argument("out", type=pathlib.Path)
    for name in ("tokenizer", "model"):
        command = commands.add_parser(name)
        command.add_argument("directory", type=pathlib.Path)
        command.add_argument("out", type=pathlib.Path)
    command.add_argument("--type", choices=["bf16", "q8_0"], default="bf16")
    command.add_argument("--pad", type=int, default=0, metavar="ZEROS")
    arguments = parser.parse_args()
    if arguments.command == "blocks":
        write_blocks(arguments.out)
    elif arguments.command == "model":
        write_model(arguments.directory, arguments.out, arguments.type, arguments.pad)
    else:
        writer = gguf.GGUFWriter(arguments.out, "gemma4")
        add_tokenizer(writer, arguments.directory)
        finish(writer)


if __name__ == "__main__":
    main()
