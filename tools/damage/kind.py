"""What a kind of damage is, and the list that the kinds enter."""

import dataclasses
import enum
from collections.abc import Callable

from damage.checkpoint import Checkpoint


class Seen(enum.Enum):
    """What it takes to see a damage."""

    OPENING = "opening"  # headers and configuration: every command refuses the model
    LOADING = "loading"  # the weights' own bytes: every command that reads them refuses the model
    VERIFY = "verify"    # the model runs; only `beryl verify` tells
    AGAINST = "against"  # nothing in the checkpoint tells; only `beryl verify --against ORIGINAL` does


@dataclasses.dataclass(frozen=True)
class Kind:
    """A damage to the checkpoint `base`; the report contains each text of `says`."""

    name: str
    base: str
    seen: Seen
    says: tuple[str, ...]
    summary: str
    damage: Callable[[Checkpoint], None]

    def write(self, folder):
        """Writes the damaged copy; the folder must not be there yet."""
        checkpoint = Checkpoint(self.base)
        self.damage(checkpoint)
        checkpoint.save(folder)

    @property
    def original(self):
        """The unquantised checkpoint of the same weights."""
        return self.base.split("-")[0] + "-bf16"


KINDS: dict[str, Kind] = {}


def kind(name, base, seen, *says):
    """Enters the function as a kind of damage; its docstring says what is wrong, in one line."""

    def enter(damage):
        assert name not in KINDS, name
        KINDS[name] = Kind(name, base, seen, says, damage.__doc__, damage)
        return damage

    return enter
