from . import cbam as cbam
from .pooling import POOLS as POOLS
from .pooling import Pool as Pool
from .pooling import parse_pools as parse_pools
from .pooling import pool_channels as pool_channels
from .pooling import pool_positions as pool_positions

__all__ = ["POOLS", "Pool", "cbam", "parse_pools", "pool_channels", "pool_positions"]
