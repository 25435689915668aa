#!/usr/bin/env python3
"""Makes a golden file for `beryl check` from a Gemma 4 checkpoint, with transformers' own network in float32.

    pip install torch transformers safetensors numpy
    reference.py MODEL OUT.safetensors [--data FILE.jsonl] [--limit N] [--greedy N] [--hidden]

MODEL is a folder with safetensors files: unquantised, or written by compressed-tensors (FP8 per tensor, channel or
block; NVFP4; symmetric int4 and int8 in packed words). Its weights are dequantised exactly and used in float32, so the
file tells whether Beryl computes with the published values; the machine must have memory for that (4 bytes a weight).
The file holds for each prompt its tokens, the logits at all of them, and the tokens that greedy decoding goes on with.

    beryl check MODEL OUT.safetensors [--compute f32]
"""

import argparse
import json
import pathlib
import re
import sys

import numpy
import torch
from safetensors import safe_open
from safetensors.torch import save_file

# Asked when there is no --data: through the chat template where the model has one.
QUESTIONS = ["What is the capital of France?", "Write a short poem about the sea.",
             "A farmer has 17 sheep. All but 9 run away. How many are left?"]
FP4_VALUES = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])


def read_tensors(folder):
    """All tensors of the folder by name; NVFP4's scales stay what they are."""
    tensors = {}
    for file in sorted(pathlib.Path(folder).glob("*.safetensors")):
        with safe_open(file, "pt") as opened:
            tensors.update({name: opened.get_tensor(name) for name in opened.keys()})
    if not tensors:
        sys.exit(f"error: no safetensors files in {folder}")
    return tensors


def spread(scale, shape):
    """`scale` repeated to `shape`: one for all, one a row, or one for each block of rows and columns."""
    scale = scale.float()
    if scale.numel() == 1:
        return scale.reshape(1, 1)
    for axis in (0, 1):
        repeats = -(-shape[axis] // scale.shape[axis])
        scale = scale.repeat_interleave(repeats, axis).narrow(axis, 0, shape[axis])
    return scale


def unpack_words(words, bits, columns):
    """Signed integers from 32-bit words, the first in the lowest bits, stored with an offset."""
    per_word = 32 // bits
    shifts = torch.arange(per_word) * bits
    codes = (words.to(torch.int64).unsqueeze(-1) >> shifts) & (2**bits - 1)
    return codes.flatten(1)[:, :columns].float() - 2**(bits - 1)


def decode(tensors, prefix):
    """The float32 values of the module `prefix`, or None when it is not quantised."""
    part = lambda name: tensors.get(f"{prefix}.{name}")
    if part("weight_global_scale") is not None:
        packed = part("weight_packed")
        codes = torch.stack([packed & 15, packed >> 4], -1).flatten(1).long()
        scale = part("weight_scale").float() / part("weight_global_scale").float()
        return FP4_VALUES[codes] * scale.repeat_interleave(16, 1)
    if part("weight_packed") is not None:
        if part("weight_zero_point") is not None or part("weight_g_idx") is not None:
            sys.exit(f"error: {prefix} has zero points or an order of its own, which this tool cannot decode")
        rows, columns = part("weight_shape").tolist()
        bits = part("weight_packed").shape[1] * 32 // columns
        return unpack_words(part("weight_packed"), bits, columns) * spread(part("weight_scale"), (rows, columns))
    weight, scale = part("weight"), part("weight_scale")
    if scale is None:
        return None
    return weight.float() * spread(scale, weight.shape)


def dequantised(tensors):
    """The tensors in the names of an unquantised checkpoint, experts as 3-D tensors, float32 where they were codes."""
    modules = {name.rsplit(".", 1)[0] for name in tensors if name.endswith(".weight_scale")}
    of_modules = re.compile(r"\.(weight|weight_packed|weight_scale|weight_global_scale|weight_shape|input_\w+scale)$")
    plain = {name: tensor for name, tensor in tensors.items()
             if not (of_modules.search(name) and name.rsplit(".", 1)[0] in modules)}
    for prefix in modules:
        plain[prefix + ".weight"] = decode(tensors, prefix)
    experts = {}
    for name in [name for name in plain if re.search(r"experts\.\d+\.", name)]:
        prefix, expert, projection = re.match(r"(.*experts)\.(\d+)\.(\w+)\.weight", name).groups()
        experts.setdefault(prefix, {}).setdefault(int(expert), {})[projection] = plain.pop(name)
    for prefix, each in experts.items():
        each = [each[index] for index in sorted(each)]
        plain[prefix + ".gate_up_proj"] = torch.stack([torch.cat([e["gate_proj"], e["up_proj"]]) for e in each])
        plain[prefix + ".down_proj"] = torch.stack([e["down_proj"] for e in each])
    return plain


def load_model(folder):
    """transformers' model in float32 with the dequantised weights."""
    import transformers
    config = json.loads((pathlib.Path(folder) / "config.json").read_text())
    config.pop("quantization_config", None)
    architecture = getattr(transformers, config["architectures"][0])
    model = architecture(architecture.config_class(**config)).float()  # before decoded weights are put in
    missing, unexpected = model.load_state_dict(dequantised(read_tensors(folder)), strict=False)
    towers = ("vision", "audio")  # not part of the text model
    wrong = [name for name in [*missing, *unexpected]
             if name != "lm_head.weight" and not any(tower in name for tower in towers)]
    if wrong:
        sys.exit(f"error: {len(wrong)} tensors do not fit the network: {', '.join(wrong[:5])}")
    model.tie_weights()
    model = model.eval()
    for module in model.modules():  # the published models have this factor in bf16
        if isinstance(getattr(module, "embed_scale", None), torch.Tensor):
            module.embed_scale.copy_(module.embed_scale.bfloat16().float())
    return model


def read_prompts(folder, data, limit):
    """Lists of tokens: of each line's question and answer as a chat, or its text, or of this tool's own questions."""
    from transformers import AutoTokenizer
    tokenizer = AutoTokenizer.from_pretrained(folder)
    encode = lambda text: tokenizer(text, add_special_tokens=False).input_ids
    rows = [{"question": question} for question in QUESTIONS]
    if data:
        rows = [json.loads(line) for line in open(data, encoding="utf-8") if line.strip()]
    prompts = []
    for row in rows[:limit]:
        if "text" in row:
            prompts.append([tokenizer.bos_token_id, *encode(row["text"])])
            continue
        asked = tokenizer.apply_chat_template([{"role": "user", "content": row["question"]}], tokenize=False,
                                              add_generation_prompt=True)
        answer = [*encode(row["answer"]), *encode("<turn|>")] if "answer" in row else []
        prompts.append([*encode(asked), *answer])
    return prompts


@torch.no_grad()
def run(model, tokens, hidden=False):
    """Logits [T, V] at all tokens and, if wanted, the streams between layers [T, D]."""
    out = model(input_ids=torch.tensor([tokens]), use_cache=False, output_hidden_states=hidden)
    return out.logits[0].float(), [each[0].float() for each in out.hidden_states] if hidden else []


@torch.no_grad()
def greedy(model, tokens, count):
    """The `count` most likely next tokens and by how much each leads."""
    tokens, chosen, margins = list(tokens), [], []
    for _ in range(count):
        top = model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0, -1].float().topk(2)
        margins.append(float(top.values[0] - top.values[1]))
        chosen.append(int(top.indices[0]))
        tokens.append(chosen[-1])
    return chosen, margins


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("out")
    parser.add_argument("--data", help='JSON lines with "question" (and "answer") or "text"')
    parser.add_argument("--limit", type=int, default=8, help="prompts at most (default: 8)")
    parser.add_argument("--greedy", type=int, default=16, help="greedy tokens behind each prompt (default: 16)")
    parser.add_argument("--hidden", action="store_true", help="keep the streams between layers, too")
    options = parser.parse_args()
    model = load_model(options.model)
    golden = {}
    for index, tokens in enumerate(read_prompts(options.model, options.data, options.limit)):
        logits, hidden = run(model, tokens, options.hidden)
        chosen, margins = greedy(model, tokens, options.greedy)
        golden |= {f"prompt{index}.input_ids": torch.tensor(tokens, dtype=torch.int32),
                   f"prompt{index}.logits": logits.contiguous(),
                   f"prompt{index}.greedy": torch.tensor(chosen, dtype=torch.int32),
                   f"prompt{index}.greedy_margin": torch.from_numpy(numpy.array(margins, dtype=numpy.float32))}
        golden |= {f"prompt{index}.hidden{layer}": stream.contiguous() for layer, stream in enumerate(hidden)}
        print(f"prompt {index}: {len(tokens)} tokens, least greedy margin {min(margins, default=0):.4f}")
    save_file(golden, options.out)


if __name__ == "__main__":
    main()
