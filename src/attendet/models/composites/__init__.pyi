from .attention_blocks import AttentionBottleneck as AttentionBottleneck
from .attention_blocks import AttentionC3 as AttentionC3
from .attention_blocks import AttentionResNetBottleneck as AttentionResNetBottleneck
from .attention_blocks import C3Attention as C3Attention
from .attention_blocks import ConvAttention as ConvAttention
from .block_names import find_block as find_block
from .block_names import find_composite as find_composite
from .split_attention_blocks import AttentionC2f as AttentionC2f
from .split_attention_blocks import AttentionC3k2 as AttentionC3k2
from .split_attention_blocks import C2fAttention as C2fAttention
from .split_attention_blocks import C3k2Attention as C3k2Attention

__all__ = [
    "AttentionBottleneck",
    "AttentionC2f",
    "AttentionC3",
    "AttentionC3k2",
    "AttentionResNetBottleneck",
    "C2fAttention",
    "C3Attention",
    "C3k2Attention",
    "ConvAttention",
    "find_block",
    "find_composite",
]
