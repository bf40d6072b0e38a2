from .class_activation import ClassActivation as ClassActivation
from .explainer import explain as explain
from .explainer import explanations as explanations
from .explainer import open_network as open_network
from .explanation import Explanation as Explanation
from .figure import draw_explanation as draw_explanation
from .input_image import InputImage as InputImage
from .network_output import ClassScore as ClassScore
from .network_output import NetworkOutput as NetworkOutput
from .request import ExplanationRequest as ExplanationRequest
from .site_explanation import PartSummary as PartSummary
from .site_explanation import SiteExplanation as SiteExplanation
from .site_explanation import explain_site as explain_site
from .writer import write_explanations as write_explanations
from .writer import write_run as write_run

__all__ = [
    "ClassActivation",
    "ClassScore",
    "Explanation",
    "ExplanationRequest",
    "InputImage",
    "NetworkOutput",
    "PartSummary",
    "SiteExplanation",
    "draw_explanation",
    "explain",
    "explain_site",
    "explanations",
    "open_network",
    "write_explanations",
    "write_run",
]
