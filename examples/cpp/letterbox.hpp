// Images in PPM files, scaled and centered on gray canvases as by attendet, bit for bit.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

// An image with three bytes per pixel: red, green, blue.
struct Image {
    int height = 0, width = 0;
    std::vector<std::uint8_t> bytes;

    Image(int rows, int columns, std::uint8_t level = 0)
        : height(rows), width(columns), bytes(static_cast<std::size_t>(rows) * columns * 3, level) {}

    const std::uint8_t* at(int y, int x) const { return &bytes[(static_cast<std::size_t>(y) * width + x) * 3]; }
    std::uint8_t* at(int y, int x) { return &bytes[(static_cast<std::size_t>(y) * width + x) * 3]; }
};

// Read a binary PPM file (P6) with 8 bits per channel.
inline Image read_ppm(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string format;
    int width = 0, height = 0, white = 0;
    const auto next = [&file](auto& value) {
        while (file >> std::ws && file.peek() == '#') file.ignore(1 << 16, '\n');
        file >> value;
    };
    next(format), next(width), next(height), next(white);
    file.get();
    if (!file || format != "P6" || white != 255 || width < 1 || height < 1 || width > 65535 || height > 65535) {
        throw std::runtime_error(path + ": the image must be a binary PPM file (P6) with 8 bits per channel");
    }
    Image image(height, width);
    file.read(reinterpret_cast<char*>(image.bytes.data()), static_cast<std::streamsize>(image.bytes.size()));
    if (!file) throw std::runtime_error(path + ": the file is truncated");
    return image;
}

// A pixel of the image that contributes to a pixel of the result, and its weight.
struct Part {
    int position;
    float weight;
};

// The parts of each pixel of the result whose areas the pixels of the image cover, along one axis.
inline std::vector<std::vector<Part>> area_parts(int source, int target) {
    const double scale = 1.0 / (static_cast<double>(target) / source);
    std::vector<std::vector<Part>> parts(target);
    for (int number = 0; number < target; ++number) {
        const double start = number * scale, end = start + scale;
        const double area = std::min(scale, source - start);
        const int last = std::min(static_cast<int>(std::floor(end)), source - 1);
        const int first = std::min(static_cast<int>(std::ceil(start)), last);
        if (first - start > 1e-3) parts[number].push_back({first - 1, static_cast<float>((first - start) / area)});
        for (int whole = first; whole < last; ++whole) parts[number].push_back({whole, static_cast<float>(1 / area)});
        if (end - last > 1e-3) {
            parts[number].push_back({last, static_cast<float>(std::min({end - last, 1.0, area}) / area)});
        }
    }
    return parts;
}

// Shrink an image by averaging blocks of a whole number of pixels.
inline Image average_blocks(const Image& image, int rows, int columns) {
    Image result(rows, columns);
    const int height = image.height / rows, width = image.width / columns;
    const float part = 1.0f / static_cast<float>(height * width);
    for (int y = 0; y < rows; ++y) {
        for (int x = 0; x < columns; ++x) {
            for (int channel = 0; channel < 3; ++channel) {
                int sum = 0;
                for (int i = 0; i < height * width; ++i) {
                    sum += image.at(y * height + i / width, x * width + i % width)[channel];
                }
                const bool rounds_up = height == 2 && width == 2;
                const float mean = static_cast<float>(sum) * part;
                result.at(y, x)[channel] = static_cast<std::uint8_t>(rounds_up ? (sum + 2) >> 2 : std::nearbyint(mean));
            }
        }
    }
    return result;
}

// Shrink an image; each pixel of the result is the mean over the area that it covers.
inline Image average_areas(const Image& image, int rows, int columns) {
    if (image.height % rows == 0 && image.width % columns == 0) return average_blocks(image, rows, columns);
    Image result(rows, columns);
    const auto x_parts = area_parts(image.width, columns), y_parts = area_parts(image.height, rows);
    std::vector<float> narrow(columns * 3), sums(columns * 3);
    for (int y = 0; y < rows; ++y) {
        std::fill(sums.begin(), sums.end(), 0.0f);
        for (const Part& row : y_parts[y]) {
            std::fill(narrow.begin(), narrow.end(), 0.0f);
            for (int x = 0; x < columns; ++x) {
                for (const Part& column : x_parts[x]) {
                    const std::uint8_t* pixel = image.at(row.position, column.position);
                    for (int channel = 0; channel < 3; ++channel) narrow[x * 3 + channel] += pixel[channel] * column.weight;
                }
            }
            for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += narrow[i] * row.weight;
        }
        for (std::size_t i = 0; i < sums.size(); ++i) {
            result.at(y, 0)[i] = static_cast<std::uint8_t>(std::clamp(std::nearbyint(sums[i]), 0.0f, 255.0f));
        }
    }
    return result;
}

// The two pixels between which a pixel of the result is, and their weights (0 to 2,048).
struct Neighbors {
    int before, after, before_weight, after_weight;
};

inline std::vector<Neighbors> neighbors(int source, int target, bool is_horizontal) {
    const double scale = 1.0 / (static_cast<double>(target) / source);
    std::vector<Neighbors> result(target);
    for (int number = 0; number < target; ++number) {
        const float place = static_cast<float>((number + 0.5) * scale - 0.5);
        const int before = static_cast<int>(std::floor(place));
        float fraction = place - static_cast<float>(before);
        if (is_horizontal && (before < 0 || before >= source - 1)) fraction = 0;
        result[number] = {std::clamp(before, 0, source - 1), std::clamp(before + 1, 0, source - 1),
                          static_cast<int>(std::nearbyint((1.0f - fraction) * 2048)),
                          static_cast<int>(std::nearbyint(fraction * 2048))};
    }
    return result;
}

// Enlarge an image by bilinear interpolation with integers.
inline Image interpolate(const Image& image, int rows, int columns) {
    Image result(rows, columns);
    const auto across = neighbors(image.width, columns, true), along = neighbors(image.height, rows, false);
    for (int y = 0; y < rows; ++y) {
        for (int x = 0; x < columns; ++x) {
            const Neighbors& h = across[x];
            const Neighbors& v = along[y];
            const auto wide = [&](int row, int channel) {
                const int left = image.at(row, h.before)[channel], right = image.at(row, h.after)[channel];
                return (left * h.before_weight + right * h.after_weight) >> 4;
            };
            for (int channel = 0; channel < 3; ++channel) {
                const int upper = (wide(v.before, channel) * v.before_weight) >> 16;
                const int lower = (wide(v.after, channel) * v.after_weight) >> 16;
                result.at(y, x)[channel] = static_cast<std::uint8_t>((upper + lower + 2) >> 2);
            }
        }
    }
    return result;
}

// An image on its canvas: its size there, and the canvas pixels above and to the left of it.
struct Placement {
    Image canvas;
    int scaled_height, scaled_width, top, left;
};

// The rule of a file for canvases. A canvas height of 0 stands for any multiple of the stride.
struct Rule {
    int imgsz, stride, gray, canvas_height, canvas_width;
    double border;
};

inline Placement place(const Image& image, const Rule& rule) {
    const int longer = std::max(image.height, image.width);
    int scaled_longer = rule.imgsz;
    if (rule.canvas_height > 0) {
        const long fitted = std::min(static_cast<long>(rule.canvas_height) * longer / image.height,
                                     static_cast<long>(rule.canvas_width) * longer / image.width);
        scaled_longer = static_cast<int>(std::max(1L, fitted));
    }
    const double scale = static_cast<double>(scaled_longer) / longer;
    const int rows = std::max(1, static_cast<int>(std::nearbyint(image.height * scale)));
    const int columns = std::max(1, static_cast<int>(std::nearbyint(image.width * scale)));
    const auto bordered = [&rule](int side) {
        return static_cast<int>(std::ceil(static_cast<double>(side) / rule.stride + rule.border)) * rule.stride;
    };
    const int height = rule.canvas_height > 0 ? rule.canvas_height : bordered(rows);
    const int width = rule.canvas_height > 0 ? rule.canvas_width : bordered(columns);
    const Image scaled = scaled_longer == longer  ? image
                         : scaled_longer > longer ? interpolate(image, rows, columns)
                                                  : average_areas(image, rows, columns);
    Placement placed{Image(height, width, static_cast<std::uint8_t>(rule.gray)), rows, columns, (height - rows) / 2,
                     (width - columns) / 2};
    for (int y = 0; y < rows; ++y) {
        std::copy_n(scaled.at(y, 0), static_cast<std::size_t>(columns) * 3, placed.canvas.at(placed.top + y, placed.left));
    }
    return placed;
}
