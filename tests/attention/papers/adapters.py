"""The weights of each module, by the names in its state dict, as the letters of its paper."""

from torch import Tensor

from tests.attention.papers import channels, copies, groups, positions
from tests.attention.papers.comparison import NamedWeights, Paper, affine, layer, norm


def se(u: Tensor, weights: NamedWeights, _: bool) -> Tensor:
    return channels.squeeze_excitation(u, layer(weights, "gate.fc1"), layer(weights, "gate.fc2"))


def eca(x: Tensor, weights: NamedWeights, _: bool) -> Tensor:
    return channels.efficient_channel_attention(x, weights["gate.conv.weight"])


def coordinate(x: Tensor, weights: NamedWeights, training: bool) -> Tensor:
    layers = (layer(weights, "gate.encode"), norm(weights, "gate.norm"))
    gates = (layer(weights, "gate.height.conv"), layer(weights, "gate.width.conv"))
    return positions.coordinate(x, *layers, *gates, training=training)


def simam(regularizer: float, *, unbiased: bool) -> Paper:
    return lambda x, _, __: positions.simam(x, regularizer, unbiased=unbiased)


def scse(combine: str) -> Paper:
    def paper(u: Tensor, weights: NamedWeights, _: bool) -> Tensor:
        channel = (layer(weights, "channel.fc1"), layer(weights, "channel.fc2"))
        return positions.scse(u, channel, layer(weights, "spatial.conv"), combine)

    return paper


def gc(x: Tensor, weights: NamedWeights, _: bool) -> Tensor:
    attention, v1, v2 = (layer(weights, f"context.{name}") for name in ("positions.conv", "fc1", "fc2"))
    return channels.global_context(x, attention, v1, affine(weights, "context.norm"), v2)


def sk(branches: int, branch_groups: int) -> Paper:
    def paper(x: Tensor, weights: NamedWeights, training: bool) -> Tensor:
        return groups.selective_kernel(
            x,
            [
                (weights[f"branches.{i}.conv.weight"], norm(weights, f"branches.{i}.norm"), i + 1)
                for i in range(branches)
            ],
            branch_groups,
            weights["branch_weights.fc.weight"],
            norm(weights, "branch_weights.norm"),
            weights["branch_weights.select.weight"].chunk(branches),
            training=training,
        )

    return paper


def triplet(x: Tensor, weights: NamedWeights, training: bool) -> Tensor:
    branches = [
        (weights[f"gate.{name}.conv.weight"], norm(weights, f"gate.{name}.norm")) for name in ("cw", "hc", "hw")
    ]
    return positions.triplet(x, *branches, training=training)


def shuffle(count: int) -> Paper:
    def paper(x: Tensor, weights: NamedWeights, _: bool) -> Tensor:
        channel = (weights["gate.channel_weight"], weights["gate.channel_bias"])
        spatial = (weights["gate.spatial_weight"], weights["gate.spatial_bias"])
        return groups.shuffle_attention(x, count, channel, affine(weights, "gate.norm"), spatial)

    return paper


def gam(x: Tensor, weights: NamedWeights, training: bool) -> Tensor:
    mlp = (layer(weights, "channel.fc1"), layer(weights, "channel.fc2"))
    convolutions = (layer(weights, "spatial.conv1"), layer(weights, "spatial.conv2"))
    norms = (norm(weights, "spatial.norm1"), norm(weights, "spatial.norm2"))
    return positions.gam(x, mlp, convolutions, norms, training=training)


def ema(count: int) -> Paper:
    def paper(x: Tensor, weights: NamedWeights, _: bool) -> Tensor:
        shared, local = layer(weights, "gate.conv1x1"), layer(weights, "gate.conv3x3")
        return groups.efficient_multi_scale(x, count, shared, affine(weights, "gate.norm"), local)

    return paper


def nam(*, absolute: bool) -> Paper:
    def paper(x: Tensor, weights: NamedWeights, training: bool) -> Tensor:
        return channels.nam_channel(x, norm(weights, "gate.norm"), absolute=absolute, training=training)

    return paper


def lsk(x: Tensor, weights: NamedWeights, _: bool) -> Tensor:
    near, far, mix_near, mix_far, selection, join = (
        layer(weights, f"gate.{name}") for name in ("near", "far", "mix_near", "mix_far", "selection.conv", "join")
    )
    depthwise = [(*near, 1), (*far, 3)]
    return groups.large_selective_kernel(x, depthwise, [mix_near, mix_far], selection, join)


def cbam(*, mean_first: bool = False) -> Paper:
    def paper(x: Tensor, weights: NamedWeights, training: bool) -> Tensor:
        mlp = (layer(weights, "channel.fc1"), layer(weights, "channel.fc2"))
        after = norm(weights, "spatial.norm") if "spatial.norm.weight" in weights else None
        spatial = layer(weights, "spatial.conv")
        return positions.cbam(x, *mlp, spatial, after, mean_first=mean_first, training=training)

    return paper


def bam(dilation: int, *, product: bool) -> Paper:
    def paper(x: Tensor, weights: NamedWeights, training: bool) -> Tensor:
        first, last = layer(weights, "gate.channel.fc1"), layer(weights, "gate.channel.fc2")
        reduce, dilated1, dilated2 = (
            (layer(weights, f"gate.spatial.{name}.conv"), norm(weights, f"gate.spatial.{name}.norm"))
            for name in ("reduce", "dilated1", "dilated2")
        )
        spatial = (reduce, dilated1, dilated2, layer(weights, "gate.spatial.final"))
        channel = (first, norm(weights, "gate.channel.norm"), last)
        return positions.bam(x, channel, spatial, dilation, product=product, training=training)

    return paper


def ultralytics_cbam(x: Tensor, weights: NamedWeights, _: bool) -> Tensor:
    return copies.ultralytics_cbam(x, layer(weights, "channel.fc"), weights["spatial.conv.weight"])


def sk_of_copies(branches: int, branch_groups: int) -> Paper:
    def paper(x: Tensor, weights: NamedWeights, training: bool) -> Tensor:
        layers = [(layer(weights, f"branches.{i}.conv"), norm(weights, f"branches.{i}.norm")) for i in range(branches)]
        matrices = weights["branch_weights.select.weight"].chunk(branches)
        select = zip(matrices, weights["branch_weights.select.bias"].chunk(branches), strict=True)
        fuse = layer(weights, "branch_weights.fc")
        return copies.selective_kernel_of_copies(x, layers, branch_groups, fuse, list(select), training)

    return paper


def grouped_gam(count: int) -> Paper:
    def paper(x: Tensor, weights: NamedWeights, training: bool) -> Tensor:
        mlp = (layer(weights, "channel.fc1"), layer(weights, "channel.fc2"))
        convolutions = (layer(weights, "spatial.conv1"), layer(weights, "spatial.conv2"))
        norms = (norm(weights, "spatial.norm1"), norm(weights, "spatial.norm2"))
        return copies.grouped_gam(x, mlp, convolutions, norms, count, training)

    return paper
