"""Reads and writes whole safetensors files as numpy arrays of their stored bits, so that nothing is rounded on the way."""

import dataclasses
import json
import struct

import numpy

# What numpy has no type for is kept as bits: bf16 as uint16, the 8-bit floats as uint8.
NUMPY_TYPES = {"BF16": "<u2", "F16": "<f2", "F32": "<f4", "F8_E4M3": "u1", "F8_E5M2": "u1", "U8": "u1", "I8": "i1",
               "I16": "<i2", "I32": "<i4", "U32": "<u4", "I64": "<i8"}


@dataclasses.dataclass
class Tensor:
    """A tensor as stored: its type's name in the file, and its bits."""

    dtype: str
    array: numpy.ndarray

    def copy(self):
        return Tensor(self.dtype, self.array.copy())

    @property
    def values(self):
        """float32 values; for bf16, f16 and f32."""
        if self.dtype == "BF16":
            return (self.array.astype(numpy.uint32) << 16).view(numpy.float32)
        return self.array.astype(numpy.float32)

    @values.setter
    def values(self, values):
        if self.dtype == "BF16":
            bits = numpy.ascontiguousarray(values, dtype=numpy.float32).view(numpy.uint32)
            self.array = (bits >> 16).astype(numpy.uint16).reshape(numpy.shape(values))
        else:
            self.array = numpy.asarray(values).astype(NUMPY_TYPES[self.dtype])


def read(path):
    """The tensors of a file by name, in the order of its header."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        array = numpy.frombuffer(data[begin:end], dtype=NUMPY_TYPES[entry["dtype"]]).reshape(entry["shape"])
        tensors[name] = Tensor(entry["dtype"], array.copy())
    return tensors


def write(path, tensors):
    """Writes tensors one behind the other, with the header that says so."""
    header, offset, chunks = {"__metadata__": {"format": "pt"}}, 0, []
    for name, tensor in tensors.items():
        data = numpy.ascontiguousarray(tensor.array).tobytes()
        header[name] = {"dtype": tensor.dtype, "shape": list(tensor.array.shape), "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
        chunks.append(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(chunks))
