from .attachment import Attachment as Attachment
from .attachment import attached as attached
from .attachment import describe as describe
from .attachment import disabled as disabled
from .attachment_plan import AttentionPlan as AttentionPlan
from .attachment_plan import Site as Site
from .attachment_table import AttachedModule as AttachedModule
from .attachment_table import AttachmentTable as AttachmentTable
from .fusion import fuse as fuse
from .insertion import attach as attach
from .insertion import reattach as reattach

__all__ = [
    "AttachedModule",
    "Attachment",
    "AttachmentTable",
    "AttentionPlan",
    "Site",
    "attach",
    "attached",
    "describe",
    "disabled",
    "fuse",
    "reattach",
]
