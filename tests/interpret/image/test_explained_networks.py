"""Compiled, fused, segmentation, and classification networks, and every attention module."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

import attendet
from attendet.errors import OptionError
from tests.helpers.calibrated_detector import Photographs
from tests.helpers.third_party_networks import attended_resnet, vary_norms
from tests.helpers.typed_access import not_none


def test_compiled_and_fused_networks_are_explained_alike(photographs: Photographs) -> None:
    model = attended_resnet()
    vary_norms(model)
    photographs = photographs[:1]
    expected = attendet.explain(model, photographs, imgsz=96)
    compiled = torch.compile(model, backend="eager")
    assert isinstance(compiled, nn.Module)
    in_place = copy.deepcopy(model)
    in_place.compile(backend="eager")
    for variant in (compiled, in_place, nn.DataParallel(model), attendet.fuse(model)):
        for found, known in zip(attendet.explain(variant, photographs, imgsz=96), expected, strict=True):
            assert [site.path for site in found.sites] == ["layer3.attention", "layer4.attention"]
            for one, other in zip(found.sites, known.sites, strict=True):
                np.testing.assert_allclose(not_none(one.spatial), not_none(other.spatial), atol=1e-4)
            # Fusing changes logits by rounding errors.
            assert found.activation is not None
            assert known.activation is not None
            np.testing.assert_allclose(found.activation.maps["LayerCAM"], known.activation.maps["LayerCAM"], atol=0.02)


def test_explanations_of_classifiers_have_class_scores(photographs: Photographs) -> None:
    model = attended_resnet()
    tensor = torch.rand(2, 3, 96, 64)
    names = [f"class {letter}" for letter in "abcdefg"]
    explained = attendet.explain(model, tensor, names=names)
    with torch.no_grad():
        probabilities = model(tensor).softmax(1)
        with attendet.disabled(model):
            without = model(tensor).softmax(1)
    for number, explanation in enumerate(explained):
        for output, expected in (
            (explanation.with_attention, probabilities[number]),
            (explanation.without_attention, without[number]),
        ):
            best = {names[each]: pytest.approx(float(expected[each]), abs=1e-5) for each in expected.topk(5).indices}
            assert {each.name: each.probability for each in output.classes} == best
        assert explanation.activation is not None
        assert explanation.activation.label == f"class {explanation.with_attention.classes[0].name}"
        assert explanation.activation.layer == "layer4"
    (by_name,) = attendet.explain(model, photographs[0], names=names, class_name="class d")
    assert by_name.activation is not None
    assert by_name.activation.label == "class class d"
    with pytest.raises(OptionError, match="a class must be a name or 0 to 6, got 7"):
        attendet.explain(model, tensor, class_name=7)


def test_of_other_networks_only_the_attention_is_explained() -> None:
    model = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None).train(False)
    attendet.attach(model, "se", "classifier.cbr", start="paper")
    (explanation,) = attendet.explain(model, torch.rand(1, 3, 64, 64))
    assert len(explanation.sites) == 1
    assert explanation.activation is None
    assert "neither detections nor class scores" in explanation.notes[0]


@pytest.mark.parametrize("name", attendet.attention.names())
def test_every_module_is_explained(name: str) -> None:
    options = {"reduction": 2} if name in ("cbam", "se", "bam") else {}
    model = nn.Sequential(
        nn.Conv2d(3, 64, 3, stride=2),
        nn.BatchNorm2d(64),
        nn.SiLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 5),
    ).train(False)
    attendet.attach(model, name, "2", **options, **({"start": "paper"} if name != "control-identity" else {}))
    outputs: dict[str, Tensor] = {}

    def record(path: str, _: nn.Module, __: object, output: Tensor) -> None:
        outputs.setdefault(path, output)

    for path, part in model.get_submodule("2.attention").named_modules():
        part.register_forward_hook(partial(record, path))
    for path, means in model.named_buffers():
        if path.endswith(".mean"):
            # Training leaves weights of channels here, without an image axis.
            means.uniform_(0.5, 1.5)
    (explanation,) = attendet.explain(model, torch.rand(1, 3, 20, 30))
    (site,) = explanation.sites
    assert site.before.shape == (9, 14)
    assert site.shape == (64, 9, 14)
    has_maps = site.spatial is not None or site.channels is not None
    assert has_maps == (name not in ("control-conv1x1", "control-identity"))
    assert bool(site.parts) == has_maps
    for part in site.parts:
        values = outputs[part.name].numpy()
        assert part.shape == values.shape[values.ndim > 3 :]
        numbers = (part.mean, part.lowest, part.highest, part.spread)
        assert numbers == pytest.approx((values.mean(), values.min(), values.max(), values.std()), rel=1e-4, abs=1e-6)
    assert explanation.activation is not None
