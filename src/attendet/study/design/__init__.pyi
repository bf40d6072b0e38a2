from .checks import check_design as check_design
from .design_file import parse_design as parse_design
from .design_file import read_design as read_design
from .grid import Cell as Cell
from .grid import run_grid as run_grid
from .schema import Arm as Arm
from .schema import Design as Design
from .schema import StudyDesign as StudyDesign

__all__ = [
    "Arm",
    "Cell",
    "Design",
    "StudyDesign",
    "check_design",
    "parse_design",
    "read_design",
    "run_grid",
]
