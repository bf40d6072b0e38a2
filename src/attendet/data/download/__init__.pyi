from .archive import extract as extract
from .archive import folder_digest as folder_digest
from .http import fetch as fetch
from .public_data import PublicSet as PublicSet
from .public_data import download_public_set as download_public_set
from .public_data import get as get
from .public_data import public_sets as public_sets

__all__ = [
    "PublicSet",
    "download_public_set",
    "extract",
    "fetch",
    "folder_digest",
    "get",
    "public_sets",
]
