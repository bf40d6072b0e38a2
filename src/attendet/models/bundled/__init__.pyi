from .templates import FAMILIES as FAMILIES
from .templates import Family as Family
from .templates import ModelSize as ModelSize
from .templates import bundled_names as bundled_names
from .templates import bundled_names_of_width as bundled_names_of_width
from .templates import bundled_text as bundled_text

__all__ = ["FAMILIES", "Family", "ModelSize", "bundled_names", "bundled_names_of_width", "bundled_text"]
