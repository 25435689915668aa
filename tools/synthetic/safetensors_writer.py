"""A minimal writer of sharded safetensors checkpoints: streams values, or leaves the data area as a hole."""

import json
import math
import pathlib

_DTYPE_BYTES = {"I64": 8, "F32": 4, "I32": 4, "U32": 4, "BF16": 2, "F16": 2, "F8_E4M3": 1, "U8": 1, "I8": 1}


def byte_size(stored):
    return math.prod(stored.shape) * _DTYPE_BYTES[stored.dtype]


def split_in_shards(tensors, shard_bytes_max):
    """Consecutive tensors, as many in each shard as fit; a tensor that is larger has a shard of its own."""
    shards, room = [], 0
    for stored in tensors:
        size = byte_size(stored)
        if not shards or size > room:
            shards.append([])
            room = shard_bytes_max
        shards[-1].append(stored)
        room -= size
    return shards


def _header(tensors):
    """(the header's bytes, the size of the data area) for tensors in file order."""
    fields, offset = {"__metadata__": {"format": "pt"}}, 0
    for stored in tensors:
        end = offset + byte_size(stored)
        fields[stored.name] = {"dtype": stored.dtype, "shape": list(stored.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(fields, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text, offset


def write_shard(path, tensors, chunks):
    """Writes one file. `chunks(stored)` yields the arrays of a tensor's data; None leaves a hole of the right size."""
    # Wide elements first, then by name: every tensor is aligned to its element.
    ordered = sorted(tensors, key=lambda stored: (-_DTYPE_BYTES[stored.dtype], stored.name))
    header, data_bytes = _header(ordered)
    with open(path, "wb") as file:
        file.write(header)
        if chunks is None:
            file.truncate(len(header) + data_bytes)
            return
        for stored in ordered:
            for chunk in chunks(stored):
                file.write(chunk.data)


def write_checkpoint(folder, tensors, chunks, shard_bytes_max):
    """Writes model.safetensors, or numbered shards and their index when one file is not enough."""
    folder = pathlib.Path(folder)
    shards = split_in_shards(tensors, shard_bytes_max)
    if len(shards) == 1:
        write_shard(folder / "model.safetensors", shards[0], chunks)
        return
    weight_map = {}
    for number, shard in enumerate(shards, 1):
        name = f"model-{number:05}-of-{len(shards):05}.safetensors"
        write_shard(folder / name, shard, chunks)
        weight_map.update({stored.name: name for stored in shard})
    index = {"metadata": {"total_size": sum(map(byte_size, tensors))}, "weight_map": dict(sorted(weight_map.items()))}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")
