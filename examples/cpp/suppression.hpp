// Selection of detections: thresholds, non-maximum suppression, and conversion to pixels of the image.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

struct Detection {
    float x1, y1, x2, y2, confidence;
    int class_id;
};

// Return the IoU of two boxes, 0-1.
inline float overlap(const Detection& a, const Detection& b) {
    const float width = std::max(0.0f, std::min(a.x2, b.x2) - std::max(a.x1, b.x1));
    const float height = std::max(0.0f, std::min(a.y2, b.y2) - std::max(a.y1, b.y1));
    const float common = width * height;
    const float areas = (a.x2 - a.x1) * (a.y2 - a.y1) + (b.x2 - b.x1) * (b.y2 - b.y1);
    return common > 0 ? common / (areas - common) : 0;
}

// Select detections, the most confident first, among decoded predictions: rows of x, y of the center, width, height,
// and the confidence of each class. A box is suppressed by a more confident box of its class above this IoU.
inline std::vector<Detection> select(const float* rows, std::size_t count, std::size_t columns, float confidence,
                                     float iou, std::size_t most) {
    std::vector<Detection> candidates;
    for (const float* row = rows; row < rows + count * columns; row += columns) {
        const float* best = std::max_element(row + 4, row + columns);
        if (!(*best > confidence)) continue;
        const float half_width = 0.5f * row[2], half_height = 0.5f * row[3];
        candidates.push_back({row[0] - half_width, row[1] - half_height, row[0] + half_width, row[1] + half_height,
                              *best, static_cast<int>(best - row - 4)});
    }
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const Detection& a, const Detection& b) { return a.confidence > b.confidence; });
    std::vector<Detection> kept;
    for (const Detection& candidate : candidates) {
        if (kept.size() == most) break;
        const bool is_suppressed = std::any_of(kept.begin(), kept.end(), [&](const Detection& better) {
            return better.class_id == candidate.class_id && overlap(better, candidate) > iou;
        });
        if (!is_suppressed) kept.push_back(candidate);
    }
    return kept;
}
