"""The notations of YOLOv5 and of the `yolo` command, rewritten into ours."""
