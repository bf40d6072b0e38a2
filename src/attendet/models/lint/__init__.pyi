from .checker import Correction as Correction
from .checker import check_model_file as check_model_file
from .checker import fix_model_file as fix_model_file

__all__ = ["Correction", "check_model_file", "fix_model_file"]
