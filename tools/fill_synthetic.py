#!/usr/bin/env python3
"""Fills the hole of a skeleton that make_synthetic.py made with random data that a loader accepts.

Codes are random bits; scales are small, positive and finite, zero points in range, group indices a permutation. What
comes out loads, but says nothing: it is for measuring how fast checkpoints of each kind load.

  make_synthetic.py --shape 26b --dialect ct-nvfp4 --skeleton --layers 4 /tmp/model && fill_synthetic.py /tmp/model
"""

import argparse
import json
import math
import pathlib
import struct
import sys

import numpy

from synthetic import dialects, gguf_writer

_BUFFER = 1 << 22
_NF4 = (-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
        -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
        0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0)


class Values:
    """Bytes for a tensor, by its name and dtype; longer tensors repeat them."""

    def __init__(self, seed):
        self._random = numpy.random.default_rng(seed)
        bits = self._random.integers(0, 256, _BUFFER, dtype=numpy.uint8)
        e4m3 = numpy.where((bits & 0x7F) == 0x7F, 0, bits).astype(numpy.uint8)
        small = self._random.uniform(0.001, 0.01, _BUFFER // 4).astype(numpy.float32)
        weights = (self._random.standard_normal(_BUFFER // 2) * 0.02).astype(numpy.float32)
        self._bits = bits
        self._codes = {"F8_E4M3": e4m3, "BF16": self._bf16(weights), "F32": small}
        self._scales = {"F8_E4M3": self._random.integers(0x20, 0x48, _BUFFER, dtype=numpy.uint8),
                        "BF16": self._bf16(small), "F16": small.astype(numpy.float16), "F32": small,
                        "U8": self._random.integers(120, 127, _BUFFER, dtype=numpy.uint8)}

    @staticmethod
    def _bf16(values):
        return (values.view(numpy.uint32) >> 16).astype(numpy.uint16)

    def of_tensor(self, name, dtype, shape):
        if "global_scale" in name:
            return numpy.full(1, 1000, numpy.float32)
        if name.endswith("quant_map"):
            steps = numpy.array(_NF4) if shape == [16] else numpy.linspace(-0.05, 0.05, 256)
            return steps.astype(numpy.float32)
        if name.endswith("weight_shape"):
            return numpy.array(self.weight_shapes[name], numpy.int64)
        if name.endswith("bitsandbytes__nf4"):
            return numpy.frombuffer(self.states[name], numpy.uint8)
        if name.endswith("qzeros"):
            return numpy.full(1, 0x77777777, numpy.uint32)
        if name.endswith("g_idx"):
            groups = numpy.arange(shape[0]) // 128
            return (self._random.permutation(groups) if self.is_act_order else groups).astype(numpy.int32)
        is_scale = "scale" in name or name.endswith((".biases", "absmax"))
        return self._scales.get(dtype, self._bits) if is_scale else self._codes.get(dtype, self._bits)

    def of_blocks(self, dtype):
        """Blocks of GGUF, whose float16 factors are small."""
        _, _, size = gguf_writer.TYPES[dtype]
        if dtype == "F32":
            return self._codes["F32"]
        blocks = self._bits[: _BUFFER // size * size].reshape(-1, size).copy()
        for offset in {"Q6_K": (208,), "Q4_K": (0, 2), "Q5_K": (0, 2)}.get(dtype, (0,)):
            blocks[:, offset + 1] %= 0x30
        return blocks


def write_repeated(file, offset, size, values):
    data = values.tobytes()
    file.seek(offset)
    while size > 0:
        file.write(data[:size])
        size -= len(data)


def read_safetensors_header(path):
    with open(path, "rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    return header, 8 + length


def fill_safetensors(path, values):
    header, data = read_safetensors_header(path)
    with open(path, "r+b") as file:
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            write_repeated(file, data + begin, end - begin, values.of_tensor(name, entry["dtype"], entry["shape"]))


def fill_gguf(path, values):
    """Reads just enough of the header to find the tensors."""
    names = {number: name for name, (number, _, _) in gguf_writer.TYPES.items()}
    with open(path, "r+b") as file:
        unpack = lambda layout: struct.unpack("<" + layout, file.read(struct.calcsize("<" + layout)))  # noqa: E731
        sizes = {4: 4, 5: 4, 6: 4, 7: 1}

        def skip(kind):
            file.seek(unpack("Q")[0] if kind == 8 else sizes[kind], 1)

        _, _, tensor_count, entry_count = unpack("4sIQQ")
        for _ in range(entry_count):
            skip(8)
            (kind,) = unpack("I")
            if kind != 9:
                skip(kind)
                continue
            kind, count = unpack("IQ")
            for _ in range(count):
                skip(kind)
        tensors = []
        for _ in range(tensor_count):
            name = file.read(unpack("Q")[0]).decode()
            dims = unpack(f"{unpack('I')[0]}Q")
            number, offset = unpack("IQ")
            tensors.append((name, names[number], math.prod(dims), offset))
        data = file.tell() + -file.tell() % gguf_writer.ALIGNMENT
        for name, dtype, elements, offset in tensors:
            if name == "rope_freqs.weight":  # real in the skeleton
                continue
            _, block, size = gguf_writer.TYPES[dtype]
            write_repeated(file, data + offset, elements // block * size, values.of_blocks(dtype))


def describe_modules(paths, values):
    """Finds what some tensors say about others: the shapes of weights that are packed."""
    values.weight_shapes, values.states = {}, {}
    for path in paths:
        for name, entry in read_safetensors_header(path)[0].items():
            if name.endswith(".weight_packed") and entry["dtype"] == "I32":
                rows, words = entry["shape"]
                values.weight_shapes[name.replace("_packed", "_shape")] = [rows, words * 8]


def describe_nf4(folder, values):
    from synthetic import shapes

    config = json.loads((folder / "config.json").read_text())
    for tensor in shapes.text_tensors(config["text_config"], "model.language_model."):
        if len(tensor.shape) == 2:
            values.states[f"{tensor.name}.weight.quant_state.bitsandbytes__nf4"] = dialects.nf4_state(*tensor.shape)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, help="what make_synthetic.py --skeleton wrote")
    parser.add_argument("--seed", type=int, default=1, help="of the random values (default: 1)")
    arguments = parser.parse_args()
    values = Values(arguments.seed)
    gguf = arguments.folder / "model.gguf"
    if gguf.exists():
        fill_gguf(gguf, values)
        return 0
    paths = sorted(arguments.folder.glob("*.safetensors"))
    if not paths:
        parser.error(f"{arguments.folder} holds no checkpoint")
    quantization = json.loads((arguments.folder / "config.json").read_text()).get("quantization_config") or {}
    values.is_act_order = quantization.get("desc_act", False)
    describe_modules(paths, values)
    describe_nf4(arguments.folder, values)
    for path in paths:
        fill_safetensors(path, values)
    return 0


if __name__ == "__main__":
    sys.exit(main())
