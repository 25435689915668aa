"""Random values with the scales of a trained model, so that a forward pass over them stays finite and lively.

Values are drawn from the quantiles of a normal distribution through a table of codes, which makes gigabytes in seconds.
"""

import statistics

import numpy

_CHUNK_ELEMENTS = 1 << 24
_E4M3_MAX = 448.0
# Where the code 448 lies, in standard deviations.
_E4M3_DEVIATIONS = 4.0


def bf16_bits(values):
    """float values -> uint16 bit patterns, rounded to nearest even."""
    bits = numpy.asarray(values, dtype=numpy.float32).view(numpy.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(numpy.uint16)


def _e4m3_values():
    """The values of the codes 0 to 126; 127 is NaN, and bit 7 is the sign."""
    codes = numpy.arange(127)
    exponent, mantissa = codes >> 3, codes & 7
    return numpy.where(exponent == 0, mantissa / 8 * 2.0**-6, (1 + mantissa / 8) * 2.0 ** (exponent - 7.0))


def e4m3_codes(values):
    """float values within +-448 -> the nearest e4m3 code; never NaN, never a negative zero."""
    table = _e4m3_values()
    magnitude = numpy.abs(values)
    above = numpy.clip(numpy.searchsorted(table, magnitude), 1, 126)
    nearest = numpy.where(magnitude - table[above - 1] <= table[above] - magnitude, above - 1, above)
    return (nearest | numpy.where((numpy.asarray(values) < 0) & (nearest > 0), 0x80, 0)).astype(numpy.uint8)


class ValueSource:
    """Yields the bytes of Stored tensors; the same seed gives the same checkpoint."""

    def __init__(self, seed):
        self._random = numpy.random.default_rng(seed)
        normal = statistics.NormalDist()
        self._quantiles = numpy.array([normal.inv_cdf((i + 0.5) / 65536) for i in range(65536)], dtype=numpy.float32)
        byte_quantiles = self._quantiles.reshape(256, 256).mean(axis=1)
        self._e4m3_table = e4m3_codes(byte_quantiles * _E4M3_MAX / _E4M3_DEVIATIONS)

    def chunks(self, stored):
        """Yields the tensor's bytes in arrays of bounded size."""
        left = int(numpy.prod(stored.shape))
        while left > 0:
            count = min(left, _CHUNK_ELEMENTS)
            yield self._draw(stored, count)
            left -= count

    def _draw(self, stored, count):
        deviation = max(stored.columns, 1) ** -0.5
        match stored.fill:
            case "near_one":
                return self._bf16(count, 1.0, 0.05)
            case "head_norm":  # queries and keys of length sqrt(sqrt(n)): scores of order one
                return self._bf16(count, stored.shape[-1] ** -0.25, 0.01)
            case "embedding":
                return self._bf16(count, 0.0, deviation)
            case "router":  # logits of order one
                return self._bf16(count, 0.0, 1.0)
            case "weight":
                return self._bf16(count, 0.0, deviation)
            case "e4m3_codes":
                return self._e4m3_table[self._random.integers(0, 256, count, dtype=numpy.uint8)]
            case "e4m3_row_scale":
                spread = self._random.uniform(0.7, 1.4, count)
                return bf16_bits(spread * deviation * _E4M3_DEVIATIONS / _E4M3_MAX)
        raise ValueError(f"{stored.name}: no values of kind {stored.fill}")

    def _bf16(self, count, mean, deviation):
        table = bf16_bits(mean + deviation * self._quantiles)
        return table[self._random.integers(0, 65536, count, dtype=numpy.uint16)]
