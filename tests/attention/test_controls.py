"""The controls: the identity, convolutions without gates, and the gates of other images."""

import copy

import pytest
import torch
from torch import Tensor, nn

from attendet.attention import Attention, ControlConv1x1, ControlIdentity, ControlNoiseGate, Gate, create, names
from attendet.attention.catalog import attentions
from attendet.errors import OptionError, UnknownNameError


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_identity_returns_its_input() -> None:
    x = torch.rand(2, 8, 3, 3)
    assert ControlIdentity(8)(x) is x
    with pytest.raises(OptionError, match="`channels` must be a positive integer, got 0"):
        ControlIdentity(0)


@pytest.mark.parametrize("like", [name for name in names() if not name.startswith("control-")])
@pytest.mark.parametrize("channels", [64, 160, 512])
@pytest.mark.filterwarnings("ignore:.*in the hidden layer")
def test_a_convolution_has_the_nearest_possible_number_of_parameters(like: str, channels: int) -> None:
    with torch.device("meta"):
        control, attention = ControlConv1x1(channels, like=like), create(like, channels)
    wanted = parameters(attention)
    possible = [2 * channels * rank for rank in range(1, 100_000 // 8)]
    assert abs(parameters(control) - wanted) == min(abs(count - wanted) for count in possible)
    assert not [module for module in control.modules() if isinstance(module, Gate)]


def test_a_convolution_is_linear_and_acts_on_every_position_separately() -> None:
    control = ControlConv1x1(8, parameters=48)
    assert control.reduce.out_channels == 3
    x, y = torch.randn(2, 2, 8, 4, 5).double()
    control.double()
    torch.testing.assert_close(control(2 * x - 3 * y), 2 * control(x) - 3 * control(y))
    matrix = torch.eye(8).double() + control.expand.weight.flatten(1) @ control.reduce.weight.flatten(1)
    expected = torch.stack([image.flatten(1).T @ matrix.T for image in x]).transpose(1, 2).reshape(x.shape)
    torch.testing.assert_close(control(x), expected)


@pytest.mark.parametrize(("dims", "size"), [(1, (7,)), (3, (3, 4, 5))])
def test_a_convolution_matches_the_attention_with_the_same_dims(dims: int, size: tuple[int, ...]) -> None:
    """CBAM has the same MLP for all dims, and a spatial kernel of 7 taps per plane for sequences, 343 for volumes."""
    control = create("control-conv1x1", 8, like="cbam", reduction=2, dims=dims)
    wanted = 2 * 8 * 4 + 2 * 7**dims
    assert parameters(control) == 16 * round(wanted / 16)
    x = torch.randn(2, 8, *size).double()
    flat = create("control-conv1x1", 8, parameters=wanted).double()
    state = {key: value.flatten(1)[..., None, None] for key, value in control.double().state_dict().items()}
    flat.load_state_dict(state)
    torch.testing.assert_close(control(x), flat(x.flatten(2).unsqueeze(2)).reshape(x.shape))


@pytest.mark.parametrize(("dims", "size"), [(1, (7,)), (3, (3, 4, 5))])
@pytest.mark.parametrize("name", ["control-identity", "control-conv1x1", "control-noise-gate"])
def test_controls_support_sequences_and_volumes(name: str, dims: int, size: tuple[int, ...]) -> None:
    options = {} if name == "control-identity" else {"like": "bam", "reduction": 2, "start": "identity"}
    control = create(name, 8, dims=dims, **options)
    x = torch.randn(3, 8, *size)
    assert torch.equal(control(x), x)
    with pytest.raises(OptionError, match=r"features must have the shape .*, got 4 axes; use dims=2"):
        control(torch.randn(2, 8, 5, 5))


def weights_of(like: str, x: Tensor, control: ControlNoiseGate) -> Tensor:
    """Return the weights that the attention with the control's parameters computes for each image."""
    attention = create(like, x.shape[1], reduction=2)
    parameters = {key.replace("gate.weights.", "gate."): value for key, value in control.attention.state_dict().items()}
    attention.load_state_dict({key: value for key, value in parameters.items() if not key.endswith(".mean")})
    gate = attention.get_submodule("gate")
    with torch.no_grad():
        return gate(x)


@torch.no_grad()
def test_in_training_every_image_receives_the_weights_of_another() -> None:
    control = ControlNoiseGate(8, like="se", reduction=2)
    x = torch.rand(5, 8, 3, 3) + 0.5
    own = weights_of("se", x, control).flatten(1)
    shifts = set()
    for _ in range(40):
        used = (control(x) / x)[:, :, 0, 0]
        same = torch.isclose(used[:, None], own[None], rtol=1e-4).all(2)
        taken = same.int().argmax(1)
        assert same.sum(1).tolist() == [1] * 5
        assert sorted(taken.tolist()) == [0, 1, 2, 3, 4]
        shifts.add(int((taken[0]) % 5))
        assert not torch.equal(taken, torch.arange(5))
        assert all(image != place for place, image in enumerate(taken.tolist()))
    assert shifts == {1, 2, 3, 4}


@torch.no_grad()
def test_in_evaluation_weights_are_the_running_mean_for_every_image() -> None:
    control = ControlNoiseGate(8, like="cbam", reduction=2)
    x = torch.rand(3, 8, 4, 4)
    assert torch.equal(control.train(False)(x), x)
    torch.manual_seed(1)
    control.train(True)
    expected = torch.ones(8)
    for _ in range(3):
        batch = torch.rand(3, 8, 4, 4)
        gate = control.attention.channel
        assert isinstance(gate, nn.Module)
        expected = 0.9 * expected + 0.1 * gate.get_submodule("weights")(batch).mean((0, 2, 3))
        control(batch)
    control.train(False)
    torch.testing.assert_close(control.state_dict()["attention.channel.mean"], expected)
    mean = expected * control.state_dict()["attention.spatial.mean"]
    torch.testing.assert_close(control(x), x * mean[:, None, None])
    torch.testing.assert_close(control(x)[:1], control(x[:1]))


def test_an_attention_without_the_option_start(monkeypatch: pytest.MonkeyPatch) -> None:
    for table in ("_entries", "_names"):
        monkeypatch.setattr(attentions, table, copy.copy(getattr(attentions, table)))

    @attentions.register("startless")
    class Startless(Attention):
        paper = "a test"

        def __init__(self, channels: int) -> None:
            super().__init__()
            self.gate = create("se", channels, reduction=2).get_submodule("gate")

        def forward(self, x: Tensor) -> Tensor:
            return x * self.gate(x)

    x = torch.rand(2, 8, 3, 3)
    assert ControlNoiseGate(8, like="startless")(x).shape == x.shape
    with pytest.raises(OptionError, match="startless has no option 'start'; omit `start`"):
        ControlNoiseGate(8, like="startless", start="identity")


def test_a_single_image_keeps_its_own_weights() -> None:
    control = ControlNoiseGate(8, like="se", reduction=2)
    x = torch.rand(1, 8, 3, 3)
    torch.testing.assert_close(control(x), x * weights_of("se", x, control))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: ControlNoiseGate(64, like="gc"),
            OptionError,
            "`like` must be an attention that multiplies features by weights, got 'gc'",
        ),
        (
            lambda: ControlNoiseGate(64, like="sk"),
            OptionError,
            "multiplies features by weights, got 'sk'; use for example cbam",
        ),
        (lambda: ControlNoiseGate(64, like="control-identity"), OptionError, "`like` must not be a control"),
        (lambda: ControlNoiseGate(64, reductoin=8), OptionError, "did you mean 'reduction'"),
        (lambda: ControlConv1x1(64, like="cbamm"), UnknownNameError, "did you mean 'cbam'"),
        (lambda: ControlConv1x1(64, like="control-conv1x1"), OptionError, "`like` must not be a control"),
        (lambda: ControlConv1x1(64, like="cbam", reducton=8), OptionError, "did you mean 'reduction'"),
        (
            lambda: ControlConv1x1(64, parameters=100, reduction=8),
            OptionError,
            "`parameters` cannot be combined with options of `like`, got reduction",
        ),
        (lambda: create("control-conv1x1", 64, likes="cbam"), OptionError, "cbam has no option 'likes'"),
        (
            lambda: ControlConv1x1(64, parameters=-1),
            OptionError,
            "`parameters` must be an integer of at least 0, got -1",
        ),
        (lambda: ControlConv1x1(64, dims=4), OptionError, "must be 1, 2, or 3, got 4"),  # pyright: ignore[reportArgumentType]
        (lambda: ControlIdentity(64, dims=0), OptionError, "must be 1, 2, or 3, got 0"),  # pyright: ignore[reportArgumentType]
        (lambda: ControlNoiseGate(64, dims=0), OptionError, "must be 1, 2, or 3, got 0"),  # pyright: ignore[reportArgumentType]
        (lambda: ControlNoiseGate(64, like="eca", dims=4), OptionError, "must be 1, 2, or 3, got 4"),  # pyright: ignore[reportArgumentType]
        (lambda: ControlConv1x1(64, like="triplet", dims=1), OptionError, "triplet has no option 'dims'"),
    ],
)
def test_invalid_options(make: object, error: type[Exception], message: str) -> None:
    assert callable(make)
    with pytest.raises(error, match=message):
        make()
