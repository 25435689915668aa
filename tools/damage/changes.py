"""Changes that many kinds are made of."""

import numpy

from damage.checkpoint import Tensor

LAYERS = "model.language_model.layers."


def scale_values(checkpoint, name, factor):
    """Multiplies a float tensor."""
    checkpoint[name].values = checkpoint[name].values * numpy.float32(factor)


def set_value(checkpoint, name, value, index=0):
    """Overwrites one element of a float tensor, counted row by row."""
    values = checkpoint[name].values.copy()
    values.reshape(-1)[index] = value
    checkpoint[name].values = values


def fill_garbage(checkpoint, name):
    """Fills a tensor with what memory may have held: all bit patterns, some of them NaN and negative."""
    array = checkpoint[name].array
    bits = numpy.frombuffer(checkpoint.random.bytes(array.nbytes), dtype=array.dtype)
    checkpoint[name].array = bits.reshape(array.shape).copy()


def swap_nibbles(array):
    """Swaps the halves of each byte."""
    data = numpy.ascontiguousarray(array).view(numpy.uint8)
    return ((data << 4) | (data >> 4)).view(array.dtype).reshape(array.shape)


def add_to_nibbles(array, amount):
    """Adds to each half of each byte, modulo 16."""
    data = numpy.ascontiguousarray(array).view(numpy.uint8)
    low, high = (data & 15) + amount % 16 & 15, (data >> 4) + amount % 16 & 15
    return (low | high << 4).astype(numpy.uint8).view(array.dtype).reshape(array.shape)


def transpose(checkpoint, name):
    """Turns the tensor and its shape."""
    checkpoint[name].array = numpy.ascontiguousarray(checkpoint[name].array.swapaxes(-1, -2))


def transpose_content(checkpoint, name):
    """Writes the elements column by column under a shape that still looks right."""
    array = checkpoint[name].array
    checkpoint[name].array = numpy.ascontiguousarray(array.swapaxes(-1, -2)).reshape(array.shape)


def drop_last(checkpoint, name, axis=-1):
    """Cuts the last element of an axis off."""
    array = checkpoint[name].array
    checkpoint[name].array = numpy.ascontiguousarray(numpy.delete(array, -1, axis=axis))


def bf16_like(checkpoint, shape):
    """A bf16 tensor of small random values."""
    tensor = Tensor("BF16", numpy.zeros(shape, numpy.uint16))
    tensor.values = checkpoint.random.normal(0, 0.05, shape).astype(numpy.float32)
    return tensor
