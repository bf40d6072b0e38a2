from .calibration import CALIBRATION_IMAGES as CALIBRATION_IMAGES
from .calibration import MAX_LOSS as MAX_LOSS
from .calibration import CalibrationImages as CalibrationImages
from .onnx_int8 import ActivationRange as ActivationRange
from .onnx_int8 import quantize_onnx as quantize_onnx
from .openvino_int8 import quantize_openvino as quantize_openvino

__all__ = [
    "CALIBRATION_IMAGES",
    "MAX_LOSS",
    "ActivationRange",
    "CalibrationImages",
    "quantize_onnx",
    "quantize_openvino",
]
