"""Attention attached to any network: found places, one call in, one call out."""

from attendet.surgery.attach import attach
from attendet.surgery.attachment import Attachment, attached
from attendet.surgery.describe import describe
from attendet.surgery.disable import disabled
from attendet.surgery.fusion import fuse
from attendet.surgery.plan import AttentionPlan, Site
from attendet.surgery.reattach import reattach

__all__ = ["Attachment", "AttentionPlan", "Site", "attach", "attached", "describe", "disabled", "fuse", "reattach"]
