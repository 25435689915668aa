#!/usr/bin/env python3
"""Quantises an unquantised Gemma 4 checkpoint with llm-compressor, from the weights alone (no calibration data).

    pip install torch==2.13.0 llmcompressor==0.14.0.1
    quantise.py BF16_FOLDER OUT_FOLDER SCHEME

SCHEME: FP8_DYNAMIC, FP8_BLOCK, W8A8, NVFP4A16, MXFP4A16, W4A16_G32 or another name that llm-compressor knows. Head,
embedding and routers stay as they are, as in published checkpoints; experts become two-dimensional tensors, one for
each expert. Every module's size must suit the scheme's groups.
"""

import pathlib
import shutil
import sys


def make_recipe(scheme):
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
    from llmcompressor.modifiers.quantization import QuantizationModifier
    ignore = ["lm_head", "re:.*embed.*", "re:.*router.*"]
    if scheme != "W4A16_G32":
        return QuantizationModifier(targets="Linear", scheme=scheme, ignore=ignore)
    weights = QuantizationArgs(num_bits=4, type="int", symmetric=True, strategy="group", group_size=32, dynamic=False)
    groups = {"group_0": QuantizationScheme(targets=["Linear"], weights=weights)}
    return QuantizationModifier(ignore=ignore, config_groups=groups)


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    source, out, scheme = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
    import torch
    from llmcompressor import oneshot
    from llmcompressor.modeling.moe.linearize import linearize_moe
    from transformers import Gemma4ForConditionalGeneration
    if out.exists():
        sys.exit(f"error: {out} is there already")
    model = Gemma4ForConditionalGeneration.from_pretrained(source, dtype=torch.bfloat16)
    linearize_moe(model)
    oneshot(model=model, recipe=make_recipe(scheme))
    model.save_pretrained(out, save_compressed=True)
    for name in ("chat_template.jinja", "generation_config.json", "tokenizer.json", "tokenizer_config.json"):
        if (source / name).exists():
            shutil.copyfile(source / name, out / name)


if __name__ == "__main__":
    main()
