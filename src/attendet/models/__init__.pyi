from .attention_request import AttentionRequest as AttentionRequest
from .attention_request import parse_request as parse_request
from .builder import BuiltModel as BuiltModel
from .builder import build as build
from .builder import build_model as build_model
from .bundled import bundled_names as bundled_names
from .bundled import bundled_text as bundled_text
from .composites import AttentionBottleneck as AttentionBottleneck
from .composites import AttentionC2f as AttentionC2f
from .composites import AttentionC3 as AttentionC3
from .composites import AttentionC3k2 as AttentionC3k2
from .composites import AttentionResNetBottleneck as AttentionResNetBottleneck
from .composites import C2fAttention as C2fAttention
from .composites import C3Attention as C3Attention
from .composites import C3k2Attention as C3k2Attention
from .composites import ConvAttention as ConvAttention
from .costs import Cost as Cost
from .costs import attention_costs as attention_costs
from .costs import count_network as count_network
from .detector import Detector as Detector
from .findings import Finding as Finding
from .lint import Correction as Correction
from .lint import check_model_file as check_model_file
from .lint import fix_model_file as fix_model_file
from .planning import ModelPlan as ModelPlan
from .planning import plan_model as plan_model
from .readings import attention_readings as attention_readings
from .summary import ModelSummary as ModelSummary
from .summary import summarize as summarize
from .yaml import ModelFile as ModelFile
from .yaml import PlannedRow as PlannedRow
from .yaml import load_model_file as load_model_file
from .yaml import read_model_file as read_model_file

__all__ = [
    "AttentionBottleneck",
    "AttentionC2f",
    "AttentionC3",
    "AttentionC3k2",
    "AttentionRequest",
    "AttentionResNetBottleneck",
    "BuiltModel",
    "C2fAttention",
    "C3Attention",
    "C3k2Attention",
    "ConvAttention",
    "Correction",
    "Cost",
    "Detector",
    "Finding",
    "ModelFile",
    "ModelPlan",
    "ModelSummary",
    "PlannedRow",
    "attention_costs",
    "attention_readings",
    "build",
    "build_model",
    "bundled_names",
    "bundled_text",
    "check_model_file",
    "count_network",
    "fix_model_file",
    "load_model_file",
    "parse_request",
    "plan_model",
    "read_model_file",
    "summarize",
]
