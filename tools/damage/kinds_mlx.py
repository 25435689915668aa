"""MLX: integers with a scale and a bias for each group, the experts of a layer stacked, routers and embeddings quantised."""

import numpy

from damage import changes
from damage.kind import Seen, kind

BASE = "moe-mlx-4bit"
LAYERS = "language_model.model.layers."
STACK = LAYERS + "1.experts.switch_glu.up_proj"
MLP_DOWN = LAYERS + "1.mlp.down_proj"
EMBEDDING = "language_model.model.embed_tokens"


@kind("mlx-biases-missing", BASE, Seen.OPENING, MLP_DOWN, "biases")
def biases_missing(checkpoint):
    """A module has no biases."""
    del checkpoint[MLP_DOWN + ".biases"]


@kind("mlx-scales-missing", BASE, Seen.OPENING, STACK, "scales")
def scales_missing(checkpoint):
    """The experts of a layer have no scales."""
    del checkpoint[STACK + ".scales"]


@kind("mlx-expert-missing", BASE, Seen.OPENING, STACK + ".weight", "[7,32,12]", "[8,32,12]")
def expert_missing(checkpoint):
    """The last expert of a layer has scales and biases without codes."""
    changes.drop_last(checkpoint, STACK + ".weight", axis=0)


@kind("mlx-other-stack-name", BASE, Seen.OPENING, LAYERS + "0.experts.switch_mlp.down_proj", "unknown")
def other_stack_name(checkpoint):
    """The experts have the name that another family of models gives them."""
    for name in checkpoint.names(".switch_glu."):
        checkpoint.rename(name, name.replace(".switch_glu.", ".switch_mlp."))


@kind("mlx-router-override-lost", BASE, Seen.OPENING, LAYERS + "2.router.proj", "8 bits", "4 bits")
def router_override_lost(checkpoint):
    """The configuration no longer says that a router has 8 bits."""
    for section in ("quantization", "quantization_config"):
        checkpoint.json["config.json"].get(section, {}).pop(LAYERS + "2.router.proj", None)


@kind("mlx-bits", BASE, Seen.OPENING, "4 bits", "6 bits")
def bits(checkpoint):
    """The configuration has 6 bits where the tensors have 4."""
    _configure(checkpoint, bits=6)


@kind("mlx-group-size", BASE, Seen.OPENING, "group_size 64", "groups of 32")
def group_size(checkpoint):
    """The configuration has groups of 64 where the scales are those of 32."""
    _configure(checkpoint, group_size=64)


@kind("mlx-mode", BASE, Seen.OPENING, "mxfp4")
def mode(checkpoint):
    """The configuration names a mode without biases."""
    _configure(checkpoint, mode="mxfp4")


@kind("mlx-bias-nan", BASE, Seen.LOADING, MLP_DOWN, "nan")
def bias_nan(checkpoint):
    """One bias is NaN."""
    changes.set_value(checkpoint, MLP_DOWN + ".biases", numpy.nan, 7)


@kind("mlx-scales-uninitialised", BASE, Seen.LOADING, EMBEDDING)
def scales_uninitialised(checkpoint):
    """The scales of the embedding are what memory held."""
    changes.fill_garbage(checkpoint, EMBEDDING + ".scales")


@kind("mlx-scales-zero", BASE, Seen.VERIFY, MLP_DOWN, "scales are zero")
def scales_zero(checkpoint):
    """The scales of a module were never written."""
    changes.scale_values(checkpoint, MLP_DOWN + ".scales", 0)


@kind("mlx-expert-biases-zero", BASE, Seen.AGAINST, "layers.1.experts.5.up_proj")
def expert_biases_zero(checkpoint):
    """The biases of one expert were never written, so that its weights have one sign."""
    checkpoint[STACK + ".biases"].array[5] = 0


@kind("mlx-experts-shifted", BASE, Seen.AGAINST, "layers.1.experts.0.up_proj", "layers.1.experts.7.up_proj")
def experts_shifted(checkpoint):
    """The experts of a layer are numbered from the second on."""
    for suffix in ("weight", "scales", "biases"):
        checkpoint[f"{STACK}.{suffix}"].array = numpy.roll(checkpoint[f"{STACK}.{suffix}"].array, -1, axis=0)


@kind("mlx-nibbles-reversed", BASE, Seen.AGAINST, MLP_DOWN)
def nibbles_reversed(checkpoint):
    """The eight codes of each word are stored in the other order."""
    array = checkpoint[MLP_DOWN + ".weight"].array
    checkpoint[MLP_DOWN + ".weight"].array = changes.swap_nibbles(array.byteswap())


@kind("mlx-tail-stale", BASE, Seen.AGAINST, MLP_DOWN)
def tail_stale(checkpoint):
    """Scales and biases of each row's last group are those of its first."""
    for suffix in ("scales", "biases"):
        array = checkpoint[f"{MLP_DOWN}.{suffix}"].array
        array[:, -1] = array[:, 0]


def _configure(checkpoint, **fields):
    for section in ("quantization", "quantization_config"):
        if section in checkpoint.json["config.json"]:
            checkpoint.json["config.json"][section].update(fields)
