"""All kinds of inputs."""

from __future__ import annotations

from collections.abc import Mapping

from attendet.weights import read_checkpoint
from tests.fuzz.generators.archives import write_data_archive, write_torch_archive
from tests.fuzz.generators.image_files import write_image_file
from tests.fuzz.generators.label_files import write_coco_set, write_voc_set, write_yolo_set
from tests.fuzz.generators.media_files import write_list, write_video
from tests.fuzz.generators.odd_names import write_odd_names
from tests.fuzz.generators.pickles import write_pickle, write_real_pickle
from tests.fuzz.generators.record_files import write_run
from tests.fuzz.generators.safetensors_files import write_safetensors
from tests.fuzz.generators.yaml_files import write_data_file, write_hyperparameters, write_model_file, write_study
from tests.fuzz.kinds import Kind, Read
from tests.fuzz.readers import (
    check_data,
    check_model,
    command,
    list_sources,
    open_weights,
    read_data,
    read_hyp,
    read_listed,
    read_media,
    read_picture,
    read_run_folder,
    read_study_design,
    unpack,
)

_INSPECT = command("weights", "inspect")
_CHECK = command("check")
_CHECK_DATA = command("data", "check", "--no-picture", "--workers", "1")


def _mostly(read: Read, rarely: Read) -> tuple[Read, ...]:
    """Return readers that give every eighth input to the second function, which is slower."""
    return (*(7 * (read,)), rarely)


# Most crafted files hold tensors without a model, which `attendet.open` refuses.
_WEIGHTS = (*(4 * (read_checkpoint,)), *(3 * (open_weights,)), _INSPECT)

KINDS: Mapping[str, Kind] = {
    "pickle": Kind(write_pickle, _WEIGHTS, inputs=50),
    "pickled object": Kind(write_real_pickle, _WEIGHTS, inputs=50),
    "torch archive": Kind(write_torch_archive, _WEIGHTS, inputs=50),
    "data archive": Kind(write_data_archive, (unpack,)),
    "safetensors": Kind(write_safetensors, _mostly(open_weights, _INSPECT), inputs=25),
    "model file": Kind(write_model_file, _mostly(check_model, _CHECK), inputs=25),
    "data.yaml": Kind(write_data_file, _mostly(read_data, check_data)),
    "hyperparameters": Kind(write_hyperparameters, (read_hyp,)),
    "study.yaml": Kind(write_study, (read_study_design,)),
    "YOLO labels": Kind(write_yolo_set, _mostly(read_data, _CHECK_DATA), inputs=40),
    "VOC labels": Kind(write_voc_set, _mostly(read_data, _CHECK_DATA), inputs=40),
    "COCO labels": Kind(write_coco_set, _mostly(read_data, _CHECK_DATA), inputs=40),
    "image": Kind(write_image_file, (read_picture, read_media)),
    "video": Kind(write_video, (read_media,)),
    "list of files": Kind(write_list, (list_sources, read_listed)),
    "odd file names": Kind(write_odd_names, (*(3 * (read_data, list_sources)), check_data, _CHECK_DATA)),
    "run folder": Kind(write_run, (read_run_folder,)),
}
"""The kinds by their names, in the order of docs/reliability.md."""
