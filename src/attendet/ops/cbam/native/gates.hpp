// What CBAM computes between the passes: both gates' small nets on pooled numbers, forward and backward.

#pragma once

#include <cmath>
#include <memory>
#include <vector>

#include "passes.hpp"

namespace {

using Buffer = std::vector<float>;

// σ(MLP(mean) + MLP(maximum)) stretched to a range; biases are null where there are none.
struct ChannelNet {
    const float *fc1_weight, *fc1_bias, *fc2_weight, *fc2_bias, *range;
    Index hidden;
};

// σ(norm(convolution(planes))) stretched to a range; the norm's tensors are null where there is none.
struct SpatialNet {
    const float *conv_weight, *norm_weight, *norm_bias, *running_mean, *running_var, *range;
    Index size;
    int32_t average_first, batch_statistics;
    double eps;
};

// e to the power of `exponent`: 2^n times a polynomial on [-ln(2)/2, ln(2)/2], to about the last bit.
Lanes exponential(Lanes exponent) {
    Lanes v = exponent > 88.0f ? 88.0f - Lanes{} : exponent;
    v = v < -87.0f ? -87.0f - Lanes{} : v;
    // Adding and subtracting 1.5·2^23 rounds to an integer, which is left in the low bits.
    const Lanes shifted = v * 1.44269504f + 12582912.0f, n = shifted - 12582912.0f;
    const Lanes r = (v - n * 0.693359375f) + n * 2.12194440e-4f;
    Lanes sum = 1 / 5040.0f - Lanes{};
    for (const float inverse : {1 / 720.0f, 1 / 120.0f, 1 / 24.0f, 1 / 6.0f, 0.5f, 1.0f, 1.0f}) sum = sum * r + inverse;
    const Lanes power = reinterpret<Lanes>(reinterpret<Bits>(sum) + (reinterpret<Bits>(shifted) << 23));
    // Beyond, a sigmoid is zero in float32, as torch's is.
    // Bits are moved above, which may make a number of a NaN.
    const Lanes known = exponent == exponent ? power : exponent;
    return exponent > 88.0f ? INFINITY - Lanes{} : known;
}

float exponential(float v) { return exponential(v - Lanes{})[0]; }

template <class V>
V sigmoid(V v) {
    return 1 / (1 + exponential(-v));
}

template <class V>
V gate(V logits, const float* range) {
    return range[0] + (range[1] - range[0]) * sigmoid(logits);
}

template <class V>
V gate_slope(V logits, const float* range) {
    const V s = sigmoid(logits);
    return (range[1] - range[0]) * s * (1 - s);
}

template <class Term>
float sum_of(Index length, const Term& term) {
    Lanes lanes{};
    float sum = 0;
    along(0, length, [&](auto zero, Index i) {
        if constexpr (sizeof zero == sizeof(float)) sum += term(zero, i);
        else lanes += term(zero, i);
    });
    return sum + joined<Add>(lanes);
}

float dot(const float* a, const float* b, Index length) {
    return sum_of(length, [&](auto zero, Index i) {
        return load<decltype(zero)>(a + i) * load<decltype(zero)>(b + i);
    });
}

// to += factor·from
void add_scaled(float* to, float factor, const float* from, Index length) {
    along(0, length, [&](auto zero, Index i) {
        using V = decltype(zero);
        store(to + i, load<V>(to + i) + factor * load<V>(from + i));
    });
}

float hidden_before_relu(const ChannelNet& net, Index unit, const float* pooled, Index channels) {
    return dot(net.fc1_weight + unit * channels, pooled, channels) + (net.fc1_bias ? net.fc1_bias[unit] : 0);
}

// The MLP of both pools, pooled (N, 2, C), added: logits (N, C).
void channel_logits(const ChannelNet& net, Shape shape, int threads, const float* pooled, float* logits) {
    const Index channels = shape.channels;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (Index sample = 0; sample < shape.samples; ++sample) {
        Buffer hidden(net.hidden, 0.0f);
        for (Index pool = 0; pool < 2; ++pool)
            for (Index unit = 0; unit < net.hidden; ++unit) {
                const float value = hidden_before_relu(net, unit, pooled + (2 * sample + pool) * channels, channels);
                hidden[unit] += value < 0 ? 0 : value;  // a NaN stays one
            }
        for (Index channel = 0; channel < channels; ++channel)
            logits[sample * channels + channel] =
                dot(net.fc2_weight + channel * net.hidden, hidden.data(), net.hidden) +
                (net.fc2_bias ? 2 * net.fc2_bias[channel] : 0);
    }
}

struct ChannelGradients {
    float *fc1_weight, *fc1_bias, *fc2_weight, *fc2_bias;
};

// From the gradient of the weights (N, C) to those of the parameters, and of the pools, (N, C) each.
void channel_backward(const ChannelNet& net, Shape shape, int threads, const float* pooled, const float* logits,
                      const float* upstream, const ChannelGradients& out, float* of_means, float* of_maxima) {
    const Index samples = shape.samples, channels = shape.channels, units = net.hidden;
    Buffer logit_gradients(samples * channels), hidden(samples * units), unit_gradients(samples * 2 * units);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (Index sample = 0; sample < samples; ++sample) {
        float* above = &logit_gradients[sample * channels];
        along(0, channels, [&](auto zero, Index i) {
            using V = decltype(zero);
            const Index place = sample * channels + i;
            store(above + i, load<V>(upstream + place) * gate_slope(load<V>(logits + place), net.range));
        });
        Buffer to_hidden(units, 0.0f);
        for (Index channel = 0; channel < channels; ++channel)
            add_scaled(to_hidden.data(), above[channel], net.fc2_weight + channel * units, units);
        for (Index pool = 0; pool < 2; ++pool) {
            float* to = (pool ? of_maxima : of_means) + sample * channels;
            std::fill(to, to + channels, 0.0f);
            for (Index unit = 0; unit < units; ++unit) {
                const float value = hidden_before_relu(net, unit, pooled + (2 * sample + pool) * channels, channels);
                const float gradient = value > 0 ? to_hidden[unit] : 0;
                hidden[sample * units + unit] += value < 0 ? 0 : value;
                unit_gradients[(2 * sample + pool) * units + unit] = gradient;
                add_scaled(to, gradient, net.fc1_weight + unit * channels, channels);
            }
        }
    }
#pragma omp parallel for schedule(static) num_threads(threads)
    for (Index unit = 0; unit < units; ++unit) {
        float* to = out.fc1_weight + unit * channels;
        std::fill(to, to + channels, 0.0f);
        float bias = 0;
        for (Index row = 0; row < 2 * samples; ++row) {
            const float gradient = unit_gradients[row * units + unit];
            add_scaled(to, gradient, pooled + row * channels, channels);
            bias += gradient;
        }
        if (out.fc1_bias) out.fc1_bias[unit] = bias;
    }
#pragma omp parallel for schedule(static) num_threads(threads)
    for (Index channel = 0; channel < channels; ++channel) {
        float* to = out.fc2_weight + channel * units;
        std::fill(to, to + units, 0.0f);
        float bias = 0;
        for (Index sample = 0; sample < samples; ++sample) {
            const float gradient = logit_gradients[sample * channels + channel];
            add_scaled(to, gradient, &hidden[sample * units], units);
            bias += gradient;
        }
        if (out.fc2_bias) out.fc2_bias[channel] = 2 * bias;
    }
}

// As many rows are convolved at once, so that their sums do not wait for one another.
constexpr Index ROWS = 4;

// Planes (N, inputs, height, width) with the zeros around them that a convolution of this size sees.
struct Padded {
    Index inputs, height, width, size, pitch = width + size - 1, plane = pitch * (height + size - 1);
    std::unique_ptr<float[]> values;

    Padded(Index samples, Index inputs, Index height, Index width, Index size, int threads, const float* planes)
        : inputs(inputs), height(height), width(width), size(size), values(new float[samples * inputs * plane]) {
        const Index reach = size / 2;
#pragma omp parallel for schedule(static) num_threads(threads)
        for (Index index = 0; index < samples * inputs; ++index) {
            float* to = &values[index * plane];
            std::fill(to, to + plane, 0.0f);
            for (Index row = 0; row < height; ++row)
                std::copy_n(planes + (index * height + row) * width, width, to + (row + reach) * pitch + reach);
        }
    }

    const float* row_of(Index sample, Index input, Index row) const {
        return &values[(sample * inputs + input) * plane + row * pitch];
    }
};

// Planes correlated with taps (outputs, inputs, size, size): (N, outputs, height, width).
void correlate(const Padded& planes, Index samples, Index outputs, int threads, const float* taps, float* result) {
    const Index size = planes.size, height = planes.height, width = planes.width, bands = parts_of(height, ROWS);
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
                        const float* from = planes.row_of(sample, input, row + dy) + i;
                        const float* weight = taps + ((output * planes.inputs + input) * size + dy) * size;
                        for (Index dx = 0; dx < size; ++dx)
                            for (Index r = 0; r < count; ++r)
                                sums[r] += weight[dx] * load<V>(from + r * planes.pitch + dx);
                    }
                for (Index r = 0; r < count; ++r)
                    store(result + ((sample * outputs + output) * height + row + r) * width + i, sums[r]);
            });
        });
    }
}

// What reaches the taps (inputs, size, size) of one output from upstream (N, height, width).
void correlate_taps(const Padded& planes, Index samples, int threads, const float* upstream, float* result) {
    const Index size = planes.size, width = planes.width, taps = planes.inputs * size * size;
    Buffer parts(samples * taps);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (Index item = 0; item < samples * taps; ++item) {
        const Index sample = item / taps, input = item % taps / (size * size), dy = item / size % size;
        Column<Lanes, ROWS> lanes{};
        Column<float, ROWS> rest{};
        for_each_group<ROWS>(0, planes.height, [&](auto group, Index row) {
            constexpr Index count = group;
            const float* from = planes.row_of(sample, input, row + dy) + item % size;
            const float* above = upstream + (sample * planes.height + row) * width;
            along(0, width, [&](auto zero, Index i) {
                using V = decltype(zero);
                for (Index r = 0; r < count; ++r) {
                    const V product = load<V>(from + r * planes.pitch + i) * load<V>(above + r * width + i);
                    if constexpr (sizeof(V) == sizeof(float)) rest[r] += product;
                    else lanes[r] += product;
                }
            });
        });
        parts[item] = 0;
        for (Index r = 0; r < ROWS; ++r) parts[item] += rest[r] + joined<Add>(lanes[r]);
    }
    std::fill(result, result + taps, 0.0f);
    for (Index sample = 0; sample < samples; ++sample) add_scaled(result, 1, &parts[sample * taps], taps);
}

// Sums over all of (N, H, W) of term(zero, place): float within a sample, double between them.
template <class Term>
double sum_over(Shape shape, int threads, const Term& term) {
    std::vector<double> sums(shape.samples);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (Index sample = 0; sample < shape.samples; ++sample)
        sums[sample] = sum_of(shape.positions, [&](auto zero, Index i) {
            return term(zero, sample * shape.positions + i);
        });
    double sum = 0;
    for (const double part : sums) sum += part;
    return sum;
}

// Calls step(zero, place) for all places of (N, H, W).
template <class Step>
void everywhere(Shape shape, int threads, const Step& step) {
#pragma omp parallel for schedule(static) num_threads(threads)
    for (Index sample = 0; sample < shape.samples; ++sample)
        along(0, shape.positions, [&](auto zero, Index i) { step(zero, sample * shape.positions + i); });
}

// Mean and biased variance over the batch.
void batch_statistics(Shape shape, int threads, const float* logits, float* mean, float* var) {
    const double count = shape.samples * shape.positions;
    *mean = sum_over(shape, threads, [&](auto zero, Index i) { return load<decltype(zero)>(logits + i); }) / count;
    *var = sum_over(shape, threads, [&](auto zero, Index i) {
        const auto centered = load<decltype(zero)>(logits + i) - *mean;
        return centered * centered;
    }) / count;
}

// A batch norm of one channel: unit = (logits - mean)·inverse, normed = unit·weight + bias; it may do nothing.
struct Norm {
    float mean = 0, inverse = 1, weight = 1, bias = 0;

    Norm(const SpatialNet& net, const float* batch_mean, const float* batch_var) {
        if (!net.norm_weight) return;
        mean = net.batch_statistics ? *batch_mean : *net.running_mean;
        inverse = 1 / std::sqrt((net.batch_statistics ? *batch_var : *net.running_var) + net.eps);
        weight = *net.norm_weight;
        bias = *net.norm_bias;
    }

    template <class V>
    V unit(V logits) const {
        return (logits - mean) * inverse;
    }

    template <class V>
    V normed(V logits) const {
        return unit(logits) * weight + bias;
    }
};

void spatial_weights(const SpatialNet& net, const Norm& norm, Shape shape, int threads, const float* logits,
                     float* weights) {
    everywhere(shape, threads, [&](auto zero, Index i) {
        store(weights + i, gate(norm.normed(load<decltype(zero)>(logits + i)), net.range));
    });
}

struct SpatialGradients {
    float *conv_weight, *norm_weight, *norm_bias;
};

// From the gradient of the weights (N, H, W) to those of the parameters, and of the planes (N, 2, H, W).
void spatial_backward(const SpatialNet& net, const Norm& norm, Shape shape, Index height, Index width, int threads,
                      const float* planes, const float* logits, const float* upstream, const SpatialGradients& out,
                      float* of_planes) {
    const Index samples = shape.samples, size = net.size;
    Buffer gradients(samples * shape.positions);
    float* gradient = gradients.data();
    everywhere(shape, threads, [&](auto zero, Index i) {
        using V = decltype(zero);
        store(gradient + i, load<V>(upstream + i) * gate_slope(norm.normed(load<V>(logits + i)), net.range));
    });
    if (net.norm_weight) {
        const float of_bias =
            sum_over(shape, threads, [&](auto zero, Index i) { return load<decltype(zero)>(gradient + i); });
        const float of_weight = sum_over(shape, threads, [&](auto zero, Index i) {
            using V = decltype(zero);
            return load<V>(gradient + i) * norm.unit(load<V>(logits + i));
        });
        // The statistics of the batch depend on every logit, those of the past on none.
        const float count = net.batch_statistics ? samples * shape.positions : INFINITY;
        everywhere(shape, threads, [&](auto zero, Index i) {
            using V = decltype(zero);
            const V centered = load<V>(gradient + i) - of_bias / count - norm.unit(load<V>(logits + i)) * (of_weight / count);
            store(gradient + i, centered * (norm.weight * norm.inverse));
        });
        *out.norm_weight = of_weight;
        *out.norm_bias = of_bias;
    }
    correlate_taps(Padded(samples, 2, height, width, size, threads, planes), samples, threads, gradient, out.conv_weight);
    Buffer flipped(2 * size * size);
    for (Index plane = 0; plane < 2; ++plane)
        std::reverse_copy(net.conv_weight + plane * size * size, net.conv_weight + (plane + 1) * size * size,
                          &flipped[plane * size * size]);
    correlate(Padded(samples, 1, height, width, size, threads, gradient), samples, 2, threads, flipped.data(), of_planes);
}

}  // namespace
