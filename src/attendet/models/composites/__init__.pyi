from .attention_blocks import AttentionBottleneck as AttentionBottleneck
from .attention_blocks import AttentionC2f as AttentionC2f
from .attention_blocks import AttentionC3 as AttentionC3
from .attention_blocks import AttentionResNetBottleneck as AttentionResNetBottleneck
from .attention_blocks import C2fAttention as C2fAttention
from .attention_blocks import C3Attention as C3Attention
from .attention_blocks import ConvAttention as ConvAttention
from .block_names import find_block as find_block
from .block_names import find_composite as find_composite

__all__ = [
    "AttentionBottleneck",
    "AttentionC2f",
    "AttentionC3",
    "AttentionResNetBottleneck",
    "C2fAttention",
    "C3Attention",
    "ConvAttention",
    "find_block",
    "find_composite",
]
