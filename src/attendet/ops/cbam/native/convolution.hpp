// Convolution of a few planes, and its gradients.

#pragma once

#include <memory>

#include "vector_math.hpp"

namespace {

// Number of rows that are convolved at the same time; their sums are independent of each other.
constexpr Index ROWS = 4;

// Planes (N, inputs, height, width) with the zero padding for a convolution of the given kernel size.
struct PaddedPlanes {
    Index inputs, height, width, size, pitch = width + size - 1, plane = pitch * (height + size - 1);
    std::unique_ptr<float[]> values;

    PaddedPlanes(Index samples, Index inputs, Index height, Index width, Index size, int threads, const float* planes)
        : inputs(inputs), height(height), width(width), size(size), values(new float[samples * inputs * plane]) {
        const Index padding = size / 2;
#pragma omp parallel for schedule(static) num_threads(threads)
        for (Index index = 0; index < samples * inputs; ++index) {
            float* output = &values[index * plane];
            std::fill(output, output + plane, 0.0f);
            for (Index row = 0; row < height; ++row)
                std::copy_n(planes + (index * height + row) * width, width, output + (row + padding) * pitch + padding);
        }
    }

    const float* row_of(Index sample, Index input, Index row) const {
        return &values[(sample * inputs + input) * plane + row * pitch];
    }
};

// Computes the correlation (N, outputs, height, width) of planes with taps (outputs, inputs, size, size).
void correlate(const PaddedPlanes& planes, Index samples, Index outputs, int threads, const float* taps, float* result) {
    const Index size = planes.size, height = planes.height, width = planes.width, bands = ceil_divide(height, ROWS);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (Index item = 0; item < samples * outputs * bands; ++item) {
        const Index sample = item / (outputs * bands), output = item / bands % outputs, first = item % bands * ROWS;
        for_each_group<ROWS>(first, std::min(height, first + ROWS), [&](auto group, Index row) {
            constexpr Index count = group;
            along(0, width, [&](auto zero, Index i) {
                using V = decltype(zero);
                Column<V, count> sums{};
                for (Index input = 0; input < planes.inputs; ++input)
                    for (Index dy = 0; dy < size; ++dy) {
                        const float* input_row = planes.row_of(sample, input, row + dy) + i;
                        const float* weight = taps + ((output * planes.inputs + input) * size + dy) * size;
                        for (Index dx = 0; dx < size; ++dx)
                            for (Index r = 0; r < count; ++r)
                                sums[r] += weight[dx] * load<V>(input_row + r * planes.pitch + dx);
                    }
                for (Index r = 0; r < count; ++r)
                    store(result + ((sample * outputs + output) * height + row + r) * width + i, sums[r]);
            });
        });
    }
}

// Computes the gradient of the taps (inputs, size, size) of one output from upstream (N, height, width).
void tap_gradients(const PaddedPlanes& planes, Index samples, int threads, const float* upstream, float* result) {
    const Index size = planes.size, width = planes.width, taps = planes.inputs * size * size;
    Buffer parts(samples * taps);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (Index item = 0; item < samples * taps; ++item) {
        const Index sample = item / taps, input = item % taps / (size * size), dy = item / size % size;
        Column<Lanes, ROWS> lanes{};
        Column<float, ROWS> remainder{};
        for_each_group<ROWS>(0, planes.height, [&](auto group, Index row) {
            constexpr Index count = group;
            const float* input_row = planes.row_of(sample, input, row + dy) + item % size;
            const float* upstream_row = upstream + (sample * planes.height + row) * width;
            along(0, width, [&](auto zero, Index i) {
                using V = decltype(zero);
                for (Index r = 0; r < count; ++r) {
                    const V product = load<V>(input_row + r * planes.pitch + i) * load<V>(upstream_row + r * width + i);
                    if constexpr (sizeof(V) == sizeof(float)) remainder[r] += product;
                    else lanes[r] += product;
                }
            });
        });
        parts[item] = 0;
        for (Index r = 0; r < ROWS; ++r) parts[item] += remainder[r] + combine_lanes<Add>(lanes[r]);
    }
    std::fill(result, result + taps, 0.0f);
    for (Index sample = 0; sample < samples; ++sample) add_scaled(result, 1, &parts[sample * taps], taps);
}

}  // namespace
