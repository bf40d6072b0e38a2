from .drawing import AnnotatedWriter as AnnotatedWriter
from .drawing import DrawingStyle as DrawingStyle
from .drawing import draw_detections as draw_detections
from .input_frames import InputFrame as InputFrame
from .input_frames import read_frames as read_frames
from .predictor import Predictor as Predictor
from .predictor import Timings as Timings
from .session import FrameDetections as FrameDetections
from .session import PredictionCounts as PredictionCounts
from .session import detect_in_frames as detect_in_frames
from .session import predict_frames as predict_frames
from .sources import MediaKind as MediaKind
from .sources import MediaSource as MediaSource
from .sources import expand_sources as expand_sources
from .streams import ReconnectionPolicy as ReconnectionPolicy
from .video import VideoTimestamp as VideoTimestamp
from .video import read_video as read_video
from .video_file import VideoFile as VideoFile
from .watching import WatchedFrame as WatchedFrame
from .watching import watch_streams as watch_streams
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
    "FrameDetections",
    "InputFrame",
    "LabelWriter",
    "MediaKind",
    "MediaSource",
    "PredictionCounts",
    "Predictor",
    "ReconnectionPolicy",
    "ResultWriter",
    "Timings",
    "VideoFile",
    "VideoTimestamp",
    "WatchedFrame",
    "detect_in_frames",
    "detected_objects",
    "draw_detections",
    "expand_sources",
    "predict_frames",
    "read_frames",
    "read_video",
    "watch_streams",
]
