"""bitsandbytes NF4: a table, blocks without regard to rows, scales that are themselves quantised, and a text that says so."""

import json

import numpy

from damage import changes
from damage.changes import LAYERS
from damage.kind import Seen, kind

DOUBLE, SINGLE = "moe-bnb-nf4", "dense-bnb-nf4-single"
UP = LAYERS + "1.mlp.up_proj"
WEIGHT = UP + ".weight"
STATE = WEIGHT + ".quant_state.bitsandbytes__nf4"


@kind("bnb-state-shape", DOUBLE, Seen.OPENING, UP, "shape", "[64,96]", "[96,64]")
def state_shape(checkpoint):
    """The quantisation state has the shape transposed."""
    _change_state(checkpoint, shape=[96, 64])


@kind("bnb-state-block-size", DOUBLE, Seen.OPENING, WEIGHT + ".absmax", "[96]", "[48]")
def state_block_size(checkpoint):
    """The quantisation state has blocks of 128 where the scales are those of 64."""
    _change_state(checkpoint, blocksize=128)


@kind("bnb-state-type", DOUBLE, Seen.OPENING, UP, "fp4")
def state_type(checkpoint):
    """The quantisation state names another table."""
    _change_state(checkpoint, quant_type="fp4")


@kind("bnb-state-missing", DOUBLE, Seen.OPENING, UP, "quant_state")
def state_missing(checkpoint):
    """A module has no quantisation state."""
    del checkpoint[STATE]


@kind("bnb-state-garbled", DOUBLE, Seen.OPENING, STATE)
def state_garbled(checkpoint):
    """The quantisation state is no JSON."""
    checkpoint[STATE].array = checkpoint[STATE].array[:-20]


@kind("bnb-scales-missing", DOUBLE, Seen.OPENING, UP, "absmax")
def scales_missing(checkpoint):
    """A module has no scales."""
    del checkpoint[WEIGHT + ".absmax"]


@kind("bnb-nested-scales-missing", DOUBLE, Seen.OPENING, UP, "nested_absmax")
def nested_scales_missing(checkpoint):
    """A module has scales of one byte without the scales of these."""
    del checkpoint[WEIGHT + ".nested_absmax"]


@kind("bnb-other-table", DOUBLE, Seen.OPENING, WEIGHT + ".quant_map", "NF4")
def other_table(checkpoint):
    """The table of a module is not that of NF4."""
    checkpoint[WEIGHT + ".quant_map"].array[3] += 0.1


@kind("bnb-codes-missing", DOUBLE, Seen.OPENING, WEIGHT, "[3071,1]", "[3072,1]")
def codes_short(checkpoint):
    """The last pair of codes is missing."""
    changes.drop_last(checkpoint, WEIGHT, axis=0)


@kind("bnb-nested-scale-nan", DOUBLE, Seen.LOADING, UP, "nan")
def nested_scale_nan(checkpoint):
    """The scale of the scales is NaN."""
    changes.set_value(checkpoint, WEIGHT + ".nested_absmax", numpy.nan)


@kind("bnb-scale-infinite", SINGLE, Seen.LOADING, UP, "inf")
def scale_infinite(checkpoint):
    """One scale is infinite."""
    changes.set_value(checkpoint, WEIGHT + ".absmax", numpy.inf, 100)


@kind("bnb-scales-zero", SINGLE, Seen.VERIFY, UP, "zero")
def scales_zero(checkpoint):
    """The scales of a module were never written."""
    changes.scale_values(checkpoint, WEIGHT + ".absmax", 0)


@kind("bnb-nibbles-swapped", DOUBLE, Seen.AGAINST, UP)
def nibbles_swapped(checkpoint):
    """The codes of each pair are stored in the other order."""
    checkpoint[WEIGHT].array = changes.swap_nibbles(checkpoint[WEIGHT].array)


@kind("bnb-offset-lost", DOUBLE, Seen.LOADING, UP, "not negative")
def offset_lost(checkpoint):
    """The offset of the scales is zero."""
    _change_state(checkpoint, nested_offset=0.0)


@kind("bnb-tail-stale", DOUBLE, Seen.AGAINST, UP)
def tail_stale(checkpoint):
    """The last eighth of a module is that of another one."""
    checkpoint[WEIGHT].array[-384:] = checkpoint[LAYERS + "1.mlp.gate_proj.weight"].array[-384:]


def _change_state(checkpoint, **fields):
    state = {**json.loads(checkpoint[STATE].array.tobytes()), **fields}
    checkpoint[STATE].array = numpy.frombuffer(json.dumps(state).encode(), numpy.uint8)
