from .arms import ArmReport as ArmReport
from .arms import AtFraction as AtFraction
from .arms import ScoreBreakdown as ScoreBreakdown
from .arms import arm_report as arm_report
from .contrasts import Contrast as Contrast
from .contrasts import family_of_contrasts as family_of_contrasts
from .explanations import describe_image_chance as describe_image_chance
from .explanations import explain as explain
from .figures import draw_figures as draw_figures
from .outcome import Failure as Failure
from .outcome import StudyReport as StudyReport
from .outcome import make_study_report as make_study_report
from .publishing import Published as Published
from .publishing import html_report as html_report
from .publishing import markdown_report as markdown_report
from .publishing import publish_report as publish_report

__all__ = [
    "ArmReport",
    "AtFraction",
    "Contrast",
    "Failure",
    "Published",
    "ScoreBreakdown",
    "StudyReport",
    "arm_report",
    "describe_image_chance",
    "draw_figures",
    "explain",
    "family_of_contrasts",
    "html_report",
    "make_study_report",
    "markdown_report",
    "publish_report",
]
