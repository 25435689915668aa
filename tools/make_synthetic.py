#!/usr/bin/env python3
"""Makes Gemma 4 checkpoints of the published shapes without the published weights.

With --skeleton: the whole checkpoint of a size as its publishers write it, with every tensor named in the headers and a
data area that is a hole in the file (26b has the published number of keys and takes a few MB of disk). For tests of
everything that reads headers only.

Without: a real checkpoint of random values with the scales of a trained model, so that a forward pass stays finite;
the language model only, cut down to --layers layers. For speed and memory measurements. There is no tokenizer in it.

  make_synthetic.py --shape 26b --dialect ct-nvfp4 --skeleton /tmp/skeleton
  make_synthetic.py --shape 26b --dialect ct-fp8-dynamic --layers 2 /tmp/model      (3.1 GB)
"""

import argparse
import json
import pathlib
import sys

from synthetic import dialects, gguf_writer, safetensors_writer, shapes


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, help="where to write; made if it is not there")
    parser.add_argument("--shape", choices=shapes.NAMES, default="26b", help="the size (default: 26b)")
    parser.add_argument("--dialect", choices=tuple(dialects.DIALECTS), default="bf16",
                        help="how weights are spelt (default: bf16); most only with --skeleton")
    parser.add_argument("--layers", type=int, metavar="N", help="the first N layers, the last made a full one")
    parser.add_argument("--skeleton", action="store_true", help="headers only, data left as a hole")
    parser.add_argument("--kv-scales", action="store_true", help="with the scales of an FP8 cache, if the dialect has any")
    parser.add_argument("--shard-bytes", type=int, metavar="N",
                        help="largest shard (default: 5 GB for a skeleton, else 1 GB)")
    parser.add_argument("--seed", type=int, default=1, help="of the random values (default: 1)")
    arguments = parser.parse_args()
    dialect = dialects.DIALECTS[arguments.dialect]
    if not arguments.skeleton and not dialect.has_values:
        parser.error(f"--dialect {arguments.dialect} can only be made with --skeleton")
    if arguments.kv_scales and not dialect.kv_scales:
        parser.error(f"--dialect {arguments.dialect} has no cache scales")
    if arguments.layers is not None and arguments.layers < 1:
        parser.error("--layers must be at least 1")
    return parser, arguments


def main():
    parser, arguments = parse_arguments()
    dialect = dialects.DIALECTS[arguments.dialect]
    try:
        config = shapes.make_config(arguments.shape, arguments.layers, with_vision=arguments.skeleton and dialect.has_towers)
    except ValueError as problem:
        parser.error(str(problem))
    tensors = dialects.stored_tensors(dialect, config, arguments.kv_scales)

    chunks = None
    if not arguments.skeleton:
        from synthetic import values  # needs numpy, which a skeleton does not

        chunks = values.ValueSource(arguments.seed).chunks
    if dialect.quantization_config:
        config[dialect.config_key] = dialect.quantization_config
    shard_bytes = arguments.shard_bytes or (5_000_000_000 if arguments.skeleton else 1_000_000_000)

    arguments.folder.mkdir(parents=True, exist_ok=True)
    if dialect.is_gguf:
        size = gguf_writer.write_skeleton(arguments.folder / "model.gguf", config["text_config"], tensors)
        print(f"{arguments.folder}: {len(tensors)} tensors, {size / 1e9:.2f} GB (hole)")
        return 0
    (arguments.folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    safetensors_writer.write_checkpoint(arguments.folder, tensors, chunks, shard_bytes)
    size = sum(map(safetensors_writer.byte_size, tensors))
    print(f"{arguments.folder}: {len(tensors)} tensors, {size / 1e9:.2f} GB" + (" (hole)" if chunks is None else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
