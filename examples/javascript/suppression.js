// Selection of detections: thresholds, non-maximum suppression, and conversion to pixels of the image.

/**
 * Select detections, the most confident first.
 * @param {Float32Array} rows  Decoded predictions, row by row: x, y of the center, width, height, and the
 *     confidence of each class.
 * @param {number} columns  Number of values per row.
 * @param {{confidence: number, iou: number, most: number}} thresholds  Smallest confidence of a detection; IoU above which a
 *     box is suppressed by a more confident box of its class; largest number of detections.
 */
export function select(rows, columns, { confidence, iou, most }) {
  const candidates = [];
  for (let start = 0; start < rows.length; start += columns) {
    let best = start + 4;
    for (let i = best + 1; i < start + columns; i++) if (rows[i] > rows[best]) best = i;
    if (!(rows[best] > confidence)) continue;
    const [x, y, width, height] = rows.subarray(start, start + 4);
    const box = [x - width / 2, y - height / 2, x + width / 2, y + height / 2].map(Math.fround);
    candidates.push({ class_id: best - start - 4, confidence: rows[best], box });
  }
  candidates.sort((a, b) => b.confidence - a.confidence);
  const kept = [];
  for (const candidate of candidates) {
    if (kept.length === most) break;
    const suppresses = (better) => better.class_id === candidate.class_id && overlap(better.box, candidate.box) > iou;
    if (!kept.some(suppresses)) kept.push(candidate);
  }
  return kept;
}

/** Return the detections in the output of a file that contains its non-maximum suppression. */
export function readDetections(rows, confidence) {
  const found = [];
  for (let start = 0; start < rows.length; start += 6) {
    const [x1, y1, x2, y2, score, classId] = rows.subarray(start, start + 6);
    if (score > Math.max(confidence, 0)) found.push({ class_id: classId, confidence: score, box: [x1, y1, x2, y2] });
  }
  return found;
}

/** Return detections in pixels of the image, without the boxes that have no area there. */
export function toImage(detections, placement, image, names) {
  const [xScale, yScale] = [placement.width / image.width, placement.height / image.height];
  const clamp = (value, limit) => Math.min(Math.max(value, 0), limit);
  const across = (x) => clamp((x - placement.left) / xScale, image.width);
  const along = (y) => clamp((y - placement.top) / yScale, image.height);
  return detections
    .map(({ class_id, confidence, box: [x1, y1, x2, y2] }) => ({
      class_id,
      name: names[class_id],
      confidence,
      box: [across(x1), along(y1), across(x2), along(y2)],
    }))
    .filter(({ box: [x1, y1, x2, y2] }) => x2 > x1 && y2 > y1);
}

/** Return the IoU of two boxes, 0-1. */
function overlap([ax1, ay1, ax2, ay2], [bx1, by1, bx2, by2]) {
  const width = Math.max(0, Math.min(ax2, bx2) - Math.max(ax1, bx1));
  const height = Math.max(0, Math.min(ay2, by2) - Math.max(ay1, by1));
  const common = width * height;
  const areas = (ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1);
  return common > 0 ? common / (areas - common) : 0;
}
