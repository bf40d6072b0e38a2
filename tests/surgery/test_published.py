"""The networks of the papers: number of parameters, and the place of attention in their blocks."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from attendet.surgery import attach
from tests.helpers.third_party_networks import randomize, run, vary_norms

PUBLISHED = [
    ("resnet18", 11_689_512, 11_779_392, 11_712_503, 8),
    ("resnet34", 21_797_672, 21_960_468, 21_820_663, 16),
    ("resnet50", 25_557_032, 28_089_624, 25_915_099, 16),
    ("resnet101", 44_549_160, 49_330_172, 44_907_227, 33),
]


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.filterwarnings("ignore:residual-branch matches 33 places")
@pytest.mark.parametrize(("name", "plain", "with_cbam", "with_bam", "blocks"), PUBLISHED)
def test_parameters(name: str, plain: int, with_cbam: int, with_bam: int, blocks: int) -> None:
    model = torchvision.models.get_model(name)
    assert parameters(model) == plain
    cbam = attach(model, "cbam", "residual-branch", variant="authors", start="paper")
    assert parameters(model) == with_cbam
    assert len(cbam.sites) == blocks
    cbam.detach()
    bam = attach(model, "bam", "stage:1-3", variant="authors", start="paper")
    assert parameters(model) == with_bam
    assert [site.path for site in bam.sites] == ["layer1", "layer2", "layer3"]
    bam.detach()
    assert parameters(model) == plain


def shortcut(block: BasicBlock | Bottleneck, x: Tensor) -> Tensor:
    return x if block.downsample is None else block.downsample(x)


def basic(block: BasicBlock, x: Tensor, cbam: nn.Module) -> Tensor:
    branch = block.bn2(block.conv2(torch.relu(block.bn1(block.conv1(x)))))
    return torch.relu(cbam(branch) + shortcut(block, x))


def bottleneck(block: Bottleneck, x: Tensor, cbam: nn.Module) -> Tensor:
    branch = torch.relu(block.bn2(block.conv2(torch.relu(block.bn1(block.conv1(x))))))
    return torch.relu(cbam(block.bn3(block.conv3(branch))) + shortcut(block, x))


@pytest.mark.parametrize(("block", "written_out"), [(BasicBlock, basic), (Bottleneck, bottleneck)])
def test_attention_is_at_the_place_of_the_paper(
    block: type[BasicBlock | Bottleneck], written_out: Callable[[Any, Tensor, nn.Module], Tensor]
) -> None:
    """Figure 3 of the paper: applied to the output of the convolutions in each block, before the addition."""
    model = torchvision.models.ResNet(block, [1, 2, 1, 1]).train(False)
    vary_norms(model)
    attachment = attach(model, "cbam", "residual-branch", variant="authors", start="paper")
    randomize(model)
    cbams = list(attachment.modules().values())
    # The same weights in a network without hooks.
    plain = torchvision.models.ResNet(block, [1, 2, 1, 1]).train(False)
    plain.load_state_dict({key: value for key, value in model.state_dict().items() if ".attention." not in key})
    x = torch.rand(2, 3, 64, 64)
    expected = plain.maxpool(torch.relu(plain.bn1(plain.conv1(x))))
    blocks = [block for stage in (plain.layer1, plain.layer2, plain.layer3, plain.layer4) for block in stage]
    for each, cbam in zip(blocks, cbams, strict=True):
        expected = written_out(each, expected, cbam)
    expected = plain.fc(plain.avgpool(expected).flatten(1))
    torch.testing.assert_close(run(model, x), expected, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(run(plain, x), expected, rtol=1e-3, atol=1e-3)
