from .augmentation import Augmentation as Augmentation
from .augmentation import TrainingSample as TrainingSample
from .augmentation import flip as flip
from .augmentation import jitter_colors as jitter_colors
from .augmentation import mixup as mixup
from .augmentation import mosaic as mosaic
from .augmentation import pad as pad
from .augmentation import warp as warp
from .canvases import canvas_shapes as canvas_shapes
from .data_module import DetectionData as DetectionData
from .data_module import LoaderConfig as LoaderConfig
from .data_module import make_loader as make_loader
from .datasets import Batch as Batch
from .datasets import TrainingDataset as TrainingDataset
from .datasets import ValidationBatch as ValidationBatch
from .datasets import ValidationDataset as ValidationDataset
from .datasets import collate as collate
from .datasets import image_to_tensor as image_to_tensor
from .datasets import normalize_targets as normalize_targets
from .image_store import CachedImages as CachedImages
from .image_store import DecodedImages as DecodedImages
from .image_store import ImageCache as ImageCache
from .image_store import OnDemandImages as OnDemandImages
from .image_store import load_images as load_images
from .resizing import Letterbox as Letterbox
from .resizing import letterbox as letterbox
from .resizing import resize as resize
from .resizing import scaled_shapes as scaled_shapes
from .sampler import SampleIndex as SampleIndex
from .sampler import TrainingBatchSampler as TrainingBatchSampler
from .sampler import image_weights as image_weights

__all__ = [
    "Augmentation",
    "Batch",
    "CachedImages",
    "DecodedImages",
    "DetectionData",
    "ImageCache",
    "Letterbox",
    "LoaderConfig",
    "OnDemandImages",
    "SampleIndex",
    "TrainingBatchSampler",
    "TrainingDataset",
    "TrainingSample",
    "ValidationBatch",
    "ValidationDataset",
    "canvas_shapes",
    "collate",
    "flip",
    "image_to_tensor",
    "image_weights",
    "jitter_colors",
    "letterbox",
    "load_images",
    "make_loader",
    "mixup",
    "mosaic",
    "normalize_targets",
    "pad",
    "resize",
    "scaled_shapes",
    "warp",
]
