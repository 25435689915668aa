"""All kinds of damage. Importing the modules enters their kinds."""

from damage import (kinds_bitsandbytes, kinds_config, kinds_files, kinds_fp8, kinds_gguf, kinds_integers, kinds_mlx,  # noqa: F401
                    kinds_nvfp4)
from damage.kind import KINDS, Kind, Seen

__all__ = ["KINDS", "Kind", "Seen"]
