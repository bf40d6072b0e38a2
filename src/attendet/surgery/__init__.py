"""Attention attached to any network: found places, one call in, one call out."""

from attendet.surgery.attachment import Attachment, attached, describe, disabled
from attendet.surgery.attachment_plan import AttentionPlan, Site
from attendet.surgery.fusion import fuse
from attendet.surgery.insertion import attach, reattach

__all__ = ["Attachment", "AttentionPlan", "Site", "attach", "attached", "describe", "disabled", "fuse", "reattach"]
