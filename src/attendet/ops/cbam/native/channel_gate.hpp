// The channel gate on pooled values, forward and backward.

#pragma once

#include "vector_math.hpp"

namespace {

// Parameters of a channel gate, σ(MLP(mean) + MLP(maximum)) scaled to a range. Missing biases are null.
struct ChannelNet {
    const float *fc1_weight, *fc1_bias, *fc2_weight, *fc2_bias, *range;
    Index hidden;
};

// Returns the pre-activation of a hidden unit.
float hidden_before_relu(const ChannelNet& net, Index unit, const float* pooled, Index channels) {
    return dot(net.fc1_weight + unit * channels, pooled, channels) + (net.fc1_bias ? net.fc1_bias[unit] : 0);
}

// Computes the logits (N, C): the sum of the MLP's outputs for both pools (N, 2, C).
void channel_logits(const ChannelNet& net, Shape shape, int threads, const float* pooled, float* logits) {
    const Index channels = shape.channels;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (Index sample = 0; sample < shape.samples; ++sample) {
        Buffer hidden(net.hidden, 0.0f);
        for (Index pool = 0; pool < 2; ++pool)
            for (Index unit = 0; unit < net.hidden; ++unit) {
                const float value = hidden_before_relu(net, unit, pooled + (2 * sample + pool) * channels, channels);
                hidden[unit] += value < 0 ? 0 : value;  // keeps NaN
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

// Computes the gradients of the parameters and of both pools, (N, C) each, from the gradient of the weights (N, C).
void channel_backward(const ChannelNet& net, Shape shape, int threads, const float* pooled, const float* logits,
                      const float* upstream, const ChannelGradients& out, float* mean_gradients, float* max_gradients) {
    const Index samples = shape.samples, channels = shape.channels, units = net.hidden;
    Buffer logit_gradients(samples * channels), hidden(samples * units), unit_gradients(samples * 2 * units);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (Index sample = 0; sample < samples; ++sample) {
        float* logit_gradient = &logit_gradients[sample * channels];
        along(0, channels, [&](auto zero, Index i) {
            using V = decltype(zero);
            const Index index = sample * channels + i;
            const V slope = scaled_sigmoid_derivative(load<V>(logits + index), net.range);
            store(logit_gradient + i, load<V>(upstream + index) * slope);
        });
        Buffer hidden_gradients(units, 0.0f);
        for (Index channel = 0; channel < channels; ++channel)
            add_scaled(hidden_gradients.data(), logit_gradient[channel], net.fc2_weight + channel * units, units);
        for (Index pool = 0; pool < 2; ++pool) {
            float* output = (pool ? max_gradients : mean_gradients) + sample * channels;
            std::fill(output, output + channels, 0.0f);
            for (Index unit = 0; unit < units; ++unit) {
                const float value = hidden_before_relu(net, unit, pooled + (2 * sample + pool) * channels, channels);
                const float gradient = value > 0 ? hidden_gradients[unit] : 0;
                hidden[sample * units + unit] += value < 0 ? 0 : value;
                unit_gradients[(2 * sample + pool) * units + unit] = gradient;
                add_scaled(output, gradient, net.fc1_weight + unit * channels, channels);
            }
        }
    }
#pragma omp parallel for schedule(static) num_threads(threads)
    for (Index unit = 0; unit < units; ++unit) {
        float* output = out.fc1_weight + unit * channels;
        std::fill(output, output + channels, 0.0f);
        float bias = 0;
        for (Index row = 0; row < 2 * samples; ++row) {
            const float gradient = unit_gradients[row * units + unit];
            add_scaled(output, gradient, pooled + row * channels, channels);
            bias += gradient;
        }
        if (out.fc1_bias) out.fc1_bias[unit] = bias;
    }
#pragma omp parallel for schedule(static) num_threads(threads)
    for (Index channel = 0; channel < channels; ++channel) {
        float* output = out.fc2_weight + channel * units;
        std::fill(output, output + units, 0.0f);
        float bias = 0;
        for (Index sample = 0; sample < samples; ++sample) {
            const float gradient = logit_gradients[sample * channels + channel];
            add_scaled(output, gradient, &hidden[sample * units], units);
            bias += gradient;
        }
        if (out.fc2_bias) out.fc2_bias[channel] = 2 * bias;
    }
}

}  // namespace
