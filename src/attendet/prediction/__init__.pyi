from .drawing import AnnotatedWriter as AnnotatedWriter
from .drawing import DrawingStyle as DrawingStyle
from .drawing import draw_detections as draw_detections
from .input_frames import InputFrame as InputFrame
from .input_frames import read_frames as read_frames
from .predictor import Predictor as Predictor
from .predictor import Timings as Timings
from .session import PredictionCounts as PredictionCounts
from .session import predict_frames as predict_frames
from .sources import MediaKind as MediaKind
from .sources import MediaSource as MediaSource
from .sources import expand_sources as expand_sources
from .video import VideoFile as VideoFile
from .video import VideoTimestamp as VideoTimestamp
from .video import read_camera as read_camera
from .video import read_video as read_video
from .writers import CocoWriter as CocoWriter
from .writers import CropWriter as CropWriter
from .writers import CsvWriter as CsvWriter
from .writers import DetectedObject as DetectedObject
from .writers import LabelWriter as LabelWriter
from .writers import ResultWriter as ResultWriter
from .writers import detected_objects as detected_objects

__all__ = [
    "AnnotatedWriter",
    "CocoWriter",
    "CropWriter",
    "CsvWriter",
    "DetectedObject",
    "DrawingStyle",
    "InputFrame",
    "LabelWriter",
    "MediaKind",
    "MediaSource",
    "PredictionCounts",
    "Predictor",
    "ResultWriter",
    "Timings",
    "VideoFile",
    "VideoTimestamp",
    "detected_objects",
    "draw_detections",
    "expand_sources",
    "predict_frames",
    "read_camera",
    "read_frames",
    "read_video",
]
