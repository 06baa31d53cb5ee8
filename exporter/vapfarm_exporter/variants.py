"""Which variants there are, by the class that a checkpoint's model_index.json names."""

from pathlib import Path

from .checkpoint import read_json
from .cogvideox_variant import COGVIDEOX
from .config_checks import ConfigFile
from .variant import Variant
from .wan_variant import WAN

VARIANTS = {variant.pipeline_class: variant for variant in (COGVIDEOX, WAN)}


def variant_of(checkpoint: Path) -> Variant:
    """The variant of a checkpoint folder; an unknown class is refused."""
    file = ConfigFile("model_index.json", read_json(checkpoint / "model_index.json"))
    file.refuse_other_values({"_class_name": tuple(VARIANTS)}, required=True)
    return VARIANTS[str(file.values["_class_name"])]
