"""What is told of a network is what it computes, at the price promised, and the network stays as it was."""

import copy
import weakref
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from torch import Tensor, nn
from torchvision.models import resnet18
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

import attendet
from attendet.errors import DataError, OptionError, UnknownNameError, WeightsError
from attendet.interpret.image.explanation import explanations
from attendet.interpret.image.question import Question
from attendet.models.detector import Detector
from tests.helpers.calibrated_detector import NAMES, write_weights
from tests.helpers.third_party_networks import vary_norms

Photographs = list[NDArray[np.uint8]]


@pytest.fixture
def weights(tmp_path: Path, detector: Detector) -> Path:
    return write_weights(tmp_path / "best.safetensors", detector, 192, model="yolov5n_CBAM")


def attended_resnet() -> nn.Module:
    model = resnet18(num_classes=7).train(False)
    attendet.attach(model, "cbam", "stage:3-4", start="paper")
    return model


def state_of(model: nn.Module) -> list[object]:
    """Everything that an explanation might leave behind."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    hooks = [len(getattr(module, kind)) for module in model.modules() for kind in kinds]
    own = [sorted(vars(module)) for module in model.modules()]
    flags = [module.training for module in model.modules()]
    tensors = [(key, value._version) for key, value in model.state_dict(keep_vars=True).items()]
    gradients = [(parameter.grad is None, parameter.requires_grad) for parameter in model.parameters()]
    return [hooks, own, flags, tensors, gradients, torch.is_grad_enabled()]


def test_an_image_costs_three_passes_of_yolov5s_cbam_at_640(photographs: Photographs) -> None:
    model = attendet.build("yolov5s_CBAM", num_classes=2).train(False)
    with torch.no_grad():
        for level in model.head.m:
            level.bias.view(3, -1)[:, 4] = 3.0
    passes: list[tuple[int, ...]] = []
    counter = model.register_forward_pre_hook(lambda _, args: passes.append(tuple(args[0].shape)))
    (explanation,) = attendet.explain(model, photographs[0])
    counter.remove()
    assert explanation.activation is not None
    assert passes == [(1, 3, 448, 640)] * 3


def test_gates_are_those_of_the_network(detector: Detector, photographs: Photographs) -> None:
    (explanation,) = attendet.explain(detector, photographs[0], imgsz=192)
    (site,) = explanation.sites
    cbam = detector.model[9]
    taken: list[Tensor] = []
    tap = cbam.register_forward_pre_hook(lambda _, args: taken.append(args[0]))
    with torch.no_grad():
        detector(explanation.picture.tensor)
        tap.remove()
        channel = cbam.channel(taken[0])
        spatial = cbam.spatial(taken[0] * channel)
        after = cbam(taken[0])
    np.testing.assert_allclose(site.channels, channel[0, :, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(site.spatial, spatial[0, 0], rtol=1e-6)
    np.testing.assert_allclose(site.before, taken[0][0].abs().mean(0), rtol=1e-5)
    np.testing.assert_allclose(site.after, after[0].abs().mean(0), rtol=1e-5)
    assert (site.path, site.kind, site.join) == ("model.9", "CBAM", "product")
    assert site.shape == tuple(taken[0].shape[1:])
    assert [part.name for part in site.parts] == ["channel", "spatial"]


def test_detections_are_the_predictors_with_attention_and_without(weights: Path, photographs: Photographs) -> None:
    (explanation,) = attendet.explain(weights, photographs[1])
    predictor = attendet.Predictor(weights, device="cpu")
    with_attention = predictor(photographs[1])
    # Without: a module that hands on its features, by hand.
    predictor._detector.model[9].forward = lambda x: x
    without = predictor(photographs[1])
    for answer, expected in ((explanation.answer, with_attention), (explanation.without, without)):
        found = answer.detections
        assert found is not None
        assert len(found) == len(expected) > 1
        # By what they are: rounding may change the order of two that are equally sure.
        told, known = (
            np.column_stack([each.xyxy, 1000 * each.confidence, 1000 * each.class_id]) for each in (found, expected)
        )
        nearest = cdist(told, known)
        assert nearest.min(0).max() < 1
        assert nearest.min(1).max() < 1
    assert with_attention.confidence is not None
    assert without.confidence is not None
    assert sorted(with_attention.confidence.tolist()) != sorted(without.confidence.tolist())


def test_the_chosen_detection_is_explained(detector: Detector, photographs: Photographs) -> None:
    def ask(**options: object) -> object:
        (explanation,) = attendet.explain(detector, photographs[1], names=NAMES, imgsz=192, **options)
        return explanation

    first = ask()
    classes = first.answer.detections.class_id.tolist()
    of_dogs = [place for place, number in enumerate(classes, start=1) if number == 1]
    assert first.activation.number == 1
    assert ask(detection=3).activation.number == 3
    assert ask(class_name="white dog", detection=2).activation.number == of_dogs[1]
    assert ask(class_name=1, detection=2).activation.number == of_dogs[1]
    missing = ask(detection=1000)
    assert missing.activation is None
    assert "No detection 1000" in missing.notes[0]
    with pytest.raises(UnknownNameError, match="did you mean 'white dog'"):
        ask(class_name="white dogs")
    with pytest.raises(OptionError, match="there is no detection 0"):
        ask(detection=0)
    with pytest.raises(OptionError, match="confidence is 2"):
        ask(confidence=2)
    # Two detections far from each other, of one level, have their maps apart.
    one, other = (ask(detection=place).activation for place in (1, 2))
    assert not np.array_equal(one.maps["LayerCAM"], other.maps["LayerCAM"])


@pytest.mark.parametrize("fails", [None, "attention", "cam"])
def test_the_network_stays_as_it_was(fails: str | None, photographs: Photographs) -> None:
    model = attended_resnet().train()
    model.layer1.train(False)
    model.fc.requires_grad_(requires_grad=False)
    passes = 0

    def fail(*_: object) -> None:
        nonlocal passes
        passes += 1
        # The third pass is that of class activation maps.
        if fails == "attention" or (fails == "cam" and passes == 3):
            raise KeyError

    own = model.layer4.register_forward_hook(fail)
    before = state_of(model)
    if fails is None:
        attendet.explain(model, photographs[0], imgsz=64)
    else:
        with pytest.raises(KeyError):
            attendet.explain(model, photographs[0], imgsz=64)
    assert state_of(model) == before
    own.remove()


def test_compiled_and_fused_networks_are_explained_alike(photographs: Photographs) -> None:
    model = attended_resnet()
    vary_norms(model)
    photographs = photographs[:1]
    expected = attendet.explain(model, photographs, imgsz=96)
    compiled = torch.compile(model, backend="eager")
    in_place = copy.deepcopy(model)
    in_place.compile(backend="eager")
    for twin in (compiled, in_place, nn.DataParallel(model), attendet.fuse(model)):
        for found, known in zip(attendet.explain(twin, photographs, imgsz=96), expected, strict=True):
            assert [site.path for site in found.sites] == ["layer3.attention", "layer4.attention"]
            for one, other in zip(found.sites, known.sites, strict=True):
                np.testing.assert_allclose(one.spatial, other.spatial, atol=1e-4)
            # Fusing moves logits by rounding errors.
            assert found.activation is not None
            assert known.activation is not None
            np.testing.assert_allclose(found.activation.maps["LayerCAM"], known.activation.maps["LayerCAM"], atol=0.02)


def test_classifiers_tell_their_classes(photographs: Photographs) -> None:
    model = attended_resnet()
    tensor = torch.rand(2, 3, 96, 64)
    names = [f"class {letter}" for letter in "abcdefg"]
    explained = attendet.explain(model, tensor, names=names)
    with torch.no_grad():
        shares = model(tensor).softmax(1)
        with attendet.disabled(model):
            without = model(tensor).softmax(1)
    for number, explanation in enumerate(explained):
        for answer, expected in ((explanation.answer, shares[number]), (explanation.without, without[number])):
            best = {names[each]: pytest.approx(float(expected[each]), abs=1e-5) for each in expected.topk(5).indices}
            assert {each.name: each.probability for each in answer.classes} == best
        assert explanation.activation is not None
        assert explanation.activation.words == f"class {explanation.answer.classes[0].name}"
        assert explanation.activation.layer == "layer4"
    (by_name,) = attendet.explain(model, photographs[0], names=names, class_name="class d")
    assert by_name.activation is not None
    assert by_name.activation.words == "class class d"
    with pytest.raises(OptionError, match="there is no class 7"):
        attendet.explain(model, tensor, class_name=7)


def test_only_the_chosen_sites_are_shown_and_disabled() -> None:
    model = attended_resnet()
    images = torch.rand(1, 3, 64, 64)
    (explanation,) = attendet.explain(model, images, site="layer4.*")
    assert [site.path for site in explanation.sites] == ["layer4.attention"]
    with torch.no_grad(), attendet.disabled(model.layer4.attention):
        expected = model(images).softmax(1).max()
    assert explanation.without.classes[0].probability == pytest.approx(float(expected), abs=1e-5)


def test_of_other_networks_attention_alone_is_shown() -> None:
    model = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None).train(False)
    attendet.attach(model, "se", "classifier.cbr", start="paper")
    (explanation,) = attendet.explain(model, torch.rand(1, 3, 64, 64))
    assert len(explanation.sites) == 1
    assert explanation.activation is None
    assert "neither detections nor classes" in explanation.notes[0]


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
    given: dict[str, Tensor] = {}

    def keep(path: str, _: nn.Module, __: object, output: Tensor) -> None:
        given.setdefault(path, output)

    for path, part in model.get_submodule("2.attention").named_modules():
        part.register_forward_hook(partial(keep, path))
    for path, means in model.named_buffers():
        if path.endswith(".mean"):
            # What training would leave: weights of channels, without an axis of images.
            means.uniform_(0.5, 1.5)
    (explanation,) = attendet.explain(model, torch.rand(1, 3, 20, 30))
    (site,) = explanation.sites
    assert site.before.shape == (9, 14)
    assert site.shape == (64, 9, 14)
    shows = site.spatial is not None or site.channels is not None
    assert shows == (name not in ("control-conv1x1", "control-identity"))
    assert bool(site.parts) == shows
    for part in site.parts:
        values = given[part.name].numpy()
        assert part.shape == values.shape[values.ndim > 3 :]
        told = (part.mean, part.lowest, part.highest, part.spread)
        assert told == pytest.approx((values.mean(), values.min(), values.max(), values.std()), rel=1e-4, abs=1e-6)
    assert explanation.activation is not None


def test_tensors_in_a_list_are_what_they_are_alone() -> None:
    model, images = attended_resnet(), torch.rand(3, 3, 64, 64)
    found = attendet.explain(model, [images[0], images[1:]])
    assert [each.picture.name for each in found] == ["image 1", "image 2", "image 3"]
    for one, other in zip(found, attendet.explain(model, images), strict=True):
        assert torch.equal(one.picture.tensor, other.picture.tensor)
        np.testing.assert_array_equal(one.sites[0].spatial, other.sites[0].spatial)
    with pytest.raises(DataError, match="floating-point"):
        attendet.explain(model, [torch.zeros(3, 64, 64, dtype=torch.uint8)])


def test_images_stream_one_at_a_time(photographs: Photographs) -> None:
    model = attended_resnet()
    taken: list[int] = []
    alive: list[weakref.ref[object]] = []

    def images() -> Iterator[NDArray[np.uint8]]:
        for number in range(4):
            taken.append(number)
            yield photographs[0][:64, :64].copy()

    for number, explanation in enumerate(explanations(model, images(), Question(imgsz=64))):
        assert taken == list(range(number + 1))
        alive.append(weakref.ref(explanation))
        del explanation
        assert sum(each() is not None for each in alive) <= 1
    assert len(alive) == 4
    assert alive[0]() is None


def test_what_cannot_be_read_raises_or_is_told(tmp_path: Path, photographs: Photographs) -> None:
    model = attended_resnet()
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    with pytest.raises(DataError, match=r"broken\.png"):
        attendet.explain(model, [broken])
    told: list[Exception] = []
    images = [str(broken), photographs[0]]
    assert len(list(explanations(model, images, Question(), told.append))) == 1
    assert len(told) == 1
    with pytest.raises(DataError, match="floating-point"):
        attendet.explain(model, torch.zeros(1, 3, 64, 64, dtype=torch.uint8))
    with pytest.raises(OptionError, match="there is no attention"):
        attendet.explain(resnet18(), photographs[0])


@pytest.mark.parametrize(
    ("where", "value"),
    [("conv1", torch.nan), ("conv1", torch.inf), ("layer3.attention.spatial", torch.nan), ("fc", torch.nan)],
)
def test_networks_that_compute_no_numbers_are_refused(where: str, value: float, tmp_path: Path) -> None:
    model = attended_resnet()
    with torch.no_grad():
        next(model.get_submodule(where).parameters()).fill_(value)
    before = state_of(model)
    with pytest.raises(WeightsError, match="is not finite; take weights from before training diverged"):
        attendet.explain(model, torch.rand(1, 3, 64, 64), out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    assert state_of(model) == before


class WithSideBranch(nn.Module):
    """Its last feature map has no part in the scores."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.side, self.fc = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 2, 1), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        features = self.conv(x)
        self.side(features)
        return self.fc(features.mean((2, 3)))


def test_scores_that_do_not_depend_on_the_last_features_have_no_cam() -> None:
    model = WithSideBranch().train(False)
    attendet.attach(model, "se", "conv", reduction=2)
    before = state_of(model)
    (explanation,) = attendet.explain(model, torch.rand(1, 3, 16, 16), class_name=2)
    assert explanation.activation is None
    assert explanation.notes == ("class 2 does not depend on the features of side: no CAM.",)
    assert state_of(model) == before


def test_a_callers_inference_mode_changes_nothing() -> None:
    model, images = attended_resnet(), torch.rand(1, 3, 64, 64)
    (expected,) = attendet.explain(model, images)
    with torch.inference_mode():
        (found,) = attendet.explain(model, images)
    assert found.activation is not None
    assert expected.activation is not None
    assert np.array_equal(found.activation.maps["LayerCAM"], expected.activation.maps["LayerCAM"])


def test_detectors_refuse_tensors_that_their_strides_do_not_divide(detector: Detector) -> None:
    with pytest.raises(DataError, match=r"image 2 is a tensor of 64 x 70 pixels; .* multiples of 32"):
        attendet.explain(detector, [torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 70)])


def test_classes_without_a_name_have_their_number(detector: Detector) -> None:
    (explanation,) = attendet.explain(detector, torch.rand(1, 3, 64, 64), names=["cat"], confidence=0.0)
    found = explanation.answer.detections
    assert found is not None
    assert found.class_id is not None
    assert [("cat", "1")[number] for number in found.class_id] == list(found.data["class_name"])
    assert set(found.class_id.tolist()) == {0, 1}


def test_the_function_stays_a_function() -> None:
    from attendet.cli import explain as verb  # noqa: PLC0415
    from attendet.interpret.image import explanation as module  # noqa: PLC0415

    assert callable(attendet.explain)
    assert attendet.explain is module.explain
    assert attendet.explain is not verb.explain
