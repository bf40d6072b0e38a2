"""Validation: detections of a network compared with the ground truth."""
