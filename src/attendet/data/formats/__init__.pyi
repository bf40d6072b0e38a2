from .coco import CocoFile as CocoFile
from .coco import read_coco as read_coco
from .cvat import read_cvat as read_cvat
from .labels import ImageLabels as ImageLabels
from .labels import LabelBuilder as LabelBuilder
from .serialization import coco_result as coco_result
from .serialization import coco_text as coco_text
from .serialization import fits_yolo as fits_yolo
from .serialization import voc_text as voc_text
from .serialization import yolo_text as yolo_text
from .voc import parse_voc_labels as parse_voc_labels
from .voc import read_voc_labels as read_voc_labels
from .yolo import label_path as label_path
from .yolo import parse_yolo_labels as parse_yolo_labels
from .yolo import read_yolo_labels as read_yolo_labels

__all__ = [
    "CocoFile",
    "ImageLabels",
    "LabelBuilder",
    "coco_result",
    "coco_text",
    "fits_yolo",
    "label_path",
    "parse_voc_labels",
    "parse_yolo_labels",
    "read_coco",
    "read_cvat",
    "read_voc_labels",
    "read_yolo_labels",
    "voc_text",
    "yolo_text",
]
