"""Label formats: YOLO, COCO, Pascal VOC."""
