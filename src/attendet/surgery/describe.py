"""What is attached to a network, as a table."""

from __future__ import annotations

from torch import nn

from attendet.surgery.attachment import attached


def describe(model: nn.Module) -> None:
    """Print where attention is attached, to what, and what it costs.

    Example:
        >>> from torchvision.models import resnet18
        >>> from attendet.surgery import attach
        >>> model = resnet18()
        >>> _ = attach(model, "cbam", "stage:3-4")
        >>> describe(model)
        attention  at      side    channels  stride  parameters
        cbam       layer3  output       256      16       8,290
        cbam       layer4  output       512      32      32,866
        2 modules, 41,156 of 11,730,668 parameters
    """
    rows = [("attention", "at", "side", "channels", "stride", "parameters")]
    total = 0
    for attachment in attached(model):
        for site, module in zip(attachment.sites, attachment.modules().values(), strict=True):
            count = sum(parameter.numel() for parameter in module.parameters())
            total += count
            name = attachment.plan.attention
            rows.append((name, site.path, site.side, str(site.channels), f"{site.stride:g}", f"{count:,}"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.rjust(width) if column > 2 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    whole = sum(parameter.numel() for parameter in model.parameters())
    print("\n".join([*lines, f"{len(rows) - 1} modules, {total:,} of {whole:,} parameters"]))  # noqa: T201 (its job)
