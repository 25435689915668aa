"""Reads and writes whole GGUF files: metadata as name, type and bytes, tensors as their blocks."""

import dataclasses
import struct

import numpy

ALIGNMENT = 32
STRING, ARRAY = 8, 9
SCALAR_FORMATS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
# type -> (name, elements of a block, its bytes)
BLOCKS = {0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22),
          7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176),
          14: ("Q6_K", 256, 210), 30: ("BF16", 1, 2)}


@dataclasses.dataclass
class GgufTensor:
    """`dims` in the order of the file, the length of a row first; `blocks` uint8 [blocks, bytes of a block]."""

    type: int
    dims: list
    blocks: numpy.ndarray


class GgufFile:
    """`metadata`: key -> (type, bytes of the value); `tensors`: name -> GgufTensor."""

    def __init__(self, path):
        self._data, self._position = path.read_bytes(), 8
        tensor_count, value_count = self._take("QQ")
        self.metadata = {}
        for _ in range(value_count):
            key, (kind,) = self._take_string(), self._take("I")
            begin = self._position
            self._skip(kind)
            self.metadata[key] = (kind, self._data[begin : self._position])
        infos = [self._take_info() for _ in range(tensor_count)]
        start = -(-self._position // ALIGNMENT) * ALIGNMENT
        self.tensors = {}
        for name, dims, kind, offset in infos:
            _, elements, size = BLOCKS[kind]
            count = int(numpy.prod(dims)) // elements
            bits = numpy.frombuffer(self._data, numpy.uint8, count * size, start + offset)
            self.tensors[name] = GgufTensor(kind, dims, bits.reshape(count, size).copy())

    def __getitem__(self, name):
        return self.tensors[name]

    def set_number(self, key, number):
        """Changes a scalar of the metadata, its type unchanged."""
        kind, _ = self.metadata[key]
        self.metadata[key] = (kind, struct.pack("<" + SCALAR_FORMATS[kind], number))

    def set_numbers(self, key, numbers):
        """Changes an array of the metadata, the type of its elements unchanged."""
        kind, value = self.metadata[key]
        (element,) = struct.unpack_from("<I", value)
        form = f"<IQ{len(numbers)}{SCALAR_FORMATS[element]}"
        self.metadata[key] = (kind, struct.pack(form, element, len(numbers), *numbers))

    def write(self, path):
        head = b"GGUF" + struct.pack("<IQQ", 3, len(self.tensors), len(self.metadata))
        for key, (kind, value) in self.metadata.items():
            head += _string(key) + struct.pack("<I", kind) + value
        data = bytearray()
        for name, tensor in self.tensors.items():
            data += bytes(-len(data) % ALIGNMENT)
            head += _string(name) + struct.pack(f"<I{len(tensor.dims)}Q", len(tensor.dims), *tensor.dims)
            head += struct.pack("<IQ", tensor.type, len(data))
            data += tensor.blocks.tobytes()
        data += bytes(-len(data) % ALIGNMENT)
        path.write_bytes(head + bytes(-len(head) % ALIGNMENT) + data)

    def _take(self, form):
        values = struct.unpack_from("<" + form, self._data, self._position)
        self._position += struct.calcsize("<" + form)
        return values

    def _take_string(self):
        (length,) = self._take("Q")
        self._position += length
        return self._data[self._position - length : self._position].decode()

    def _take_info(self):
        name, (rank,) = self._take_string(), self._take("I")
        dims = list(self._take(f"{rank}Q"))
        return (name, dims, *self._take("IQ"))

    def _skip(self, kind):
        if kind == STRING:
            self._take_string()
        elif kind == ARRAY:
            element, count = self._take("IQ")
            for _ in range(count):
                self._skip(element)
        else:
            self._take(SCALAR_FORMATS[kind])


def _string(text):
    return struct.pack("<Q", len(text.encode())) + text.encode()
