// The spatial gate on pooled planes, forward and backward.

#pragma once

#include "convolution.hpp"

namespace {

// Parameters of a spatial gate, σ(norm(convolution(planes))) scaled to a range. Without a norm, its tensors are null.
struct SpatialNet {
    const float *conv_weight, *norm_weight, *norm_bias, *running_mean, *running_var, *range;
    Index size;
    int32_t average_first, batch_statistics;
    double eps;
};

// Returns the sum of term(zero, index) over (N, H, W), in float within a sample and in double over samples.
template <class Term>
double sum_over(Shape shape, int threads, const Term& term) {
    std::vector<double> sums(shape.samples);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (Index sample = 0; sample < shape.samples; ++sample)
        sums[sample] = sum_of(shape.positions, [&](auto zero, Index i) {
            return term(zero, sample * shape.positions + i);
        });
    double sum = 0;
    for (const double partial : sums) sum += partial;
    return sum;
}

// Calls step(zero, index) for all elements of (N, H, W).
template <class Step>
void for_each_position(Shape shape, int threads, const Step& step) {
#pragma omp parallel for schedule(static) num_threads(threads)
    for (Index sample = 0; sample < shape.samples; ++sample)
        along(0, shape.positions, [&](auto zero, Index i) { step(zero, sample * shape.positions + i); });
}

// Computes the mean and the biased variance over the batch.
void batch_statistics(Shape shape, int threads, const float* logits, float* mean, float* var) {
    const double count = shape.samples * shape.positions;
    *mean = sum_over(shape, threads, [&](auto zero, Index i) { return load<decltype(zero)>(logits + i); }) / count;
    *var = sum_over(shape, threads, [&](auto zero, Index i) {
        const auto centered = load<decltype(zero)>(logits + i) - *mean;
        return centered * centered;
    }) / count;
}

// A batch norm of one channel: unit = (logits - mean)·inverse, normalized = unit·weight + bias. Without norm tensors, it is
// the identity.
struct BatchNorm {
    float mean = 0, inverse = 1, weight = 1, bias = 0;

    BatchNorm(const SpatialNet& net, const float* batch_mean, const float* batch_var) {
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
    V normalized(V logits) const {
        return unit(logits) * weight + bias;
    }
};

void spatial_weights(const SpatialNet& net, const BatchNorm& norm, Shape shape, int threads, const float* logits,
                     float* weights) {
    for_each_position(shape, threads, [&](auto zero, Index i) {
        store(weights + i, scaled_sigmoid(norm.normalized(load<decltype(zero)>(logits + i)), net.range));
    });
}

struct SpatialGradients {
    float *conv_weight, *norm_weight, *norm_bias;
};

// Computes the gradients of the parameters and of the planes (N, 2, H, W) from the gradient of the weights (N, H, W).
void spatial_backward(const SpatialNet& net, const BatchNorm& norm, Shape shape, Index height, Index width, int threads,
                      const float* planes, const float* logits, const float* upstream, const SpatialGradients& out,
                      float* plane_gradients) {
    const Index samples = shape.samples, size = net.size;
    Buffer gradients(samples * shape.positions);
    float* gradient = gradients.data();
    for_each_position(shape, threads, [&](auto zero, Index i) {
        using V = decltype(zero);
        const V slope = scaled_sigmoid_derivative(norm.normalized(load<V>(logits + i)), net.range);
        store(gradient + i, load<V>(upstream + i) * slope);
    });
    if (net.norm_weight) {
        const float bias_gradient =
            sum_over(shape, threads, [&](auto zero, Index i) { return load<decltype(zero)>(gradient + i); });
        const float weight_gradient = sum_over(shape, threads, [&](auto zero, Index i) {
            using V = decltype(zero);
            return load<V>(gradient + i) * norm.unit(load<V>(logits + i));
        });
        // Batch statistics depend on every logit; running statistics are constants.
        const float count = net.batch_statistics ? samples * shape.positions : INFINITY;
        for_each_position(shape, threads, [&](auto zero, Index i) {
            using V = decltype(zero);
            const V unit = norm.unit(load<V>(logits + i));
            const V centered = load<V>(gradient + i) - bias_gradient / count - unit * (weight_gradient / count);
            store(gradient + i, centered * (norm.weight * norm.inverse));
        });
        *out.norm_weight = weight_gradient;
        *out.norm_bias = bias_gradient;
    }
    const PaddedPlanes padded(samples, 2, height, width, size, threads, planes);
    tap_gradients(padded, samples, threads, gradient, out.conv_weight);
    Buffer flipped(2 * size * size);
    for (Index plane = 0; plane < 2; ++plane)
        std::reverse_copy(net.conv_weight + plane * size * size, net.conv_weight + (plane + 1) * size * size,
                          &flipped[plane * size * size]);
    const PaddedPlanes padded_gradient(samples, 1, height, width, size, threads, gradient);
    correlate(padded_gradient, samples, 2, threads, flipped.data(), plane_gradients);
}

}  // namespace
