"""Images, folders and videos → detections."""
