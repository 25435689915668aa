"""Damaged files: what a download, a copy or a merge of two folders does."""

import os

from damage.changes import LAYERS
from damage.checkpoint import INDEX
from damage.kind import Seen, kind

SHARD = "model-00002-of-00003.safetensors"


@kind("file-truncated", "moe-ct-fp8-dynamic", Seen.OPENING, "model.safetensors", "1000 bytes")
def file_truncated(checkpoint):
    """The last 1000 bytes of the weights are missing."""
    checkpoint.edit_afterwards(lambda folder: _truncate(folder / "model.safetensors", 1000))


@kind("file-longer", "moe-ct-fp8-dynamic", Seen.OPENING, "model.safetensors", "16 bytes")
def file_longer(checkpoint):
    """16 bytes stand behind the last tensor."""
    checkpoint.edit_afterwards(lambda folder: _append(folder / "model.safetensors", bytes(16)))


@kind("file-empty", "moe-sharded", Seen.OPENING, SHARD)
def file_empty(checkpoint):
    """A shard has no bytes."""
    checkpoint.edit_afterwards(lambda folder: (folder / SHARD).write_bytes(b""))


@kind("file-is-a-pointer", "moe-sharded", Seen.OPENING, SHARD, "Git LFS")
def file_is_a_pointer(checkpoint):
    """A shard is the text that Git LFS keeps in its place."""
    text = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 300000\n"
    checkpoint.edit_afterwards(lambda folder: (folder / SHARD).write_bytes(text))


@kind("shard-absent", "moe-sharded", Seen.OPENING, SHARD, "missing")
def shard_absent(checkpoint):
    """A shard that the index names is not there."""
    checkpoint.edit_afterwards(lambda folder: (folder / SHARD).unlink())


@kind("shards-exchanged", "moe-sharded", Seen.OPENING, "model-00001-of-00003.safetensors", SHARD)
def shards_exchanged(checkpoint):
    """Two shards have each other's names."""
    one = "model-00001-of-00003.safetensors"
    checkpoint.files[one], checkpoint.files[SHARD] = checkpoint.files[SHARD], checkpoint.files[one]


@kind("index-names-another-shard", "moe-sharded", Seen.OPENING, LAYERS + "0.experts.0.up_proj.weight", SHARD)
def index_names_another_shard(checkpoint):
    """The index has a tensor in a shard that does not hold it."""
    checkpoint.json[INDEX]["weight_map"][LAYERS + "0.experts.0.up_proj.weight"] = SHARD


@kind("index-leads-out", "moe-sharded", Seen.OPENING, "../model-00002-of-00003.safetensors")
def index_leads_out(checkpoint):
    """The index names a file outside the folder."""
    checkpoint.json[INDEX]["weight_map"][LAYERS + "0.experts.0.up_proj.weight"] = "../" + SHARD


@kind("tensor-in-two-shards", "moe-sharded", Seen.OPENING, LAYERS + "0.experts.0.up_proj.weight",
      "model-00001-of-00003.safetensors", "model-00003-of-00003.safetensors")
def tensor_in_two_shards(checkpoint):
    """Two shards hold a tensor of the same name."""
    name = LAYERS + "0.experts.0.up_proj.weight"
    checkpoint.files["model-00003-of-00003.safetensors"][name] = checkpoint[name].copy()


@kind("tensor-twice-in-a-header", "moe-ct-fp8-dynamic", Seen.OPENING, LAYERS + "1.self_attn.q_proj.weight")
def tensor_twice_in_a_header(checkpoint):
    """One header names a tensor twice."""
    wanted, other = LAYERS + "1.self_attn.q_proj.weight", LAYERS + "0.self_attn.q_proj.weight"
    checkpoint.edit_afterwards(lambda folder: _replace(folder / "model.safetensors", f'"{other}"', f'"{wanted}"'))


@kind("two-checkpoints", "moe-sharded", Seen.OPENING, "two checkpoints", "model.safetensors")
def two_checkpoints(checkpoint):
    """A whole file lies beside the shards of another version."""
    checkpoint.files["model.safetensors"] = dict(checkpoint.files[SHARD])


@kind("config-truncated", "moe-ct-fp8-dynamic", Seen.OPENING, "config.json")
def config_truncated(checkpoint):
    """The text of config.json ends in the middle."""
    checkpoint.edit_afterwards(lambda folder: _truncate(folder / "config.json", 100))


def _truncate(path, bytes_less):
    os.truncate(path, path.stat().st_size - bytes_less)


def _append(path, data):
    with open(path, "ab") as file:
        file.write(data)


def _replace(path, old, new):
    data = path.read_bytes()
    assert data.count(old.encode()) == 1 and len(old) == len(new)
    path.write_bytes(data.replace(old.encode(), new.encode()))
