"""A checkpoint in memory that can be damaged: its tensors, its JSON files, and what is done to the files afterwards."""

import json
import pathlib
import shutil

import numpy

from damage import gguf_file, safetensors_file
from damage.safetensors_file import Tensor

CHECKPOINTS = pathlib.Path(__file__).resolve().parent.parent.parent / "testdata/checkpoints"
INDEX = "model.safetensors.index.json"


class Checkpoint:
    """
    `files`   safetensors file -> tensors by name
    `json`    file -> parsed text
    `gguf`    the GGUF file, or None
    `random`  the same for every run
    """

    def __init__(self, base):
        folder = CHECKPOINTS / base
        self.files = {path.name: safetensors_file.read(path) for path in sorted(folder.glob("*.safetensors"))}
        self.json = {path.name: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
        gguf = folder / "model.gguf"
        self.gguf = gguf_file.GgufFile(gguf) if gguf.exists() else None
        self.random = numpy.random.default_rng(1)
        self._others = [path for path in folder.iterdir()
                        if path.suffix not in (".safetensors", ".json", ".gguf")]
        self._edits = []

    def __getitem__(self, name):
        return self._tensors_with(name)[name]

    def __setitem__(self, name, tensor):
        """Replaces a tensor, or adds one to the last file."""
        tensors = next((t for t in self.files.values() if name in t), None)
        if tensors is None:
            tensors = list(self.files.values())[-1]
            if INDEX in self.json:
                self.json[INDEX]["weight_map"][name] = list(self.files)[-1]
        tensors[name] = tensor

    def __delitem__(self, name):
        del self._tensors_with(name)[name]
        self.json.get(INDEX, {}).get("weight_map", {}).pop(name, None)

    def names(self, part=""):
        """All tensors whose names contain the part."""
        return [name for tensors in self.files.values() for name in tensors if part in name]

    def suffixes(self, module):
        """What follows "MODULE." in the names of a module's tensors."""
        return [name[len(module) + 1 :] for name in self.names(module + ".") if name.startswith(module + ".")]

    def rename(self, old, new):
        tensor = self[old]
        del self[old]
        self[new] = tensor

    def remove(self, part):
        """Removes all tensors whose names contain the part."""
        found = self.names(part)
        assert found, part
        for name in found:
            del self[name]

    def copy_module(self, source, target):
        """Gives a module the tensors of another."""
        for suffix in self.suffixes(source):
            self[f"{target}.{suffix}"] = self[f"{source}.{suffix}"].copy()

    def swap_modules(self, one, other):
        for suffix in self.suffixes(one):
            a, b = f"{one}.{suffix}", f"{other}.{suffix}"
            self[a], self[b] = self[b].copy(), self[a].copy()

    @property
    def text_config(self):
        return self.json["config.json"]["text_config"]

    @property
    def quantization(self):
        config = self.json["config.json"]
        return config["quantization_config"] if "quantization_config" in config else config["quantization"]

    @property
    def weights_rule(self):
        """compressed-tensors: how the weights of the first group are stored."""
        return self.quantization["config_groups"]["group_0"]["weights"]

    def edit_afterwards(self, edit):
        """`edit(folder)` damages the files when they are written."""
        self._edits.append(edit)

    def save(self, folder):
        folder.mkdir(parents=True)
        for name, tensors in self.files.items():
            safetensors_file.write(folder / name, tensors)
        for name, value in self.json.items():
            (folder / name).write_text(json.dumps(value, indent=2) + "\n")
        if self.gguf is not None:
            self.gguf.write(folder / "model.gguf")
        for path in self._others:
            shutil.copy(path, folder)
        for edit in self._edits:
            edit(folder)

    def _tensors_with(self, name):
        found = next((tensors for tensors in self.files.values() if name in tensors), None)
        if found is None:
            raise KeyError(name)
        return found


__all__ = ["CHECKPOINTS", "INDEX", "Checkpoint", "Tensor"]
