// The functions that Python calls: CBAM forward and backward on a CPU. Python fills the structures, see cpu.py.

#include "channel_gate.hpp"
#include "spatial_gate.hpp"

namespace {

struct Call {
    Index samples, channels, height, width;
    int32_t dtype, channels_last, threads;

    Shape shape() const { return {samples, channels, height * width}; }
};

// Tensors that the backward pass needs in addition to the features. Pointers of a missing gate are null.
struct SavedTensors {
    float *pooled, *channel_logits, *planes, *spatial_logits, *mean, *var;
};

struct ParameterGradients {
    ChannelGradients channel;
    SpatialGradients spatial;
};

// Calls work(passes, value) with a value of the type of the features in memory.
template <class Work>
void with_passes(const Call& call, const Work& work) {
    const auto call_work = [&](auto stored) {
        using T = decltype(stored);
        call.channels_last ? work(Passes<T, true>(call.shape(), call.threads), T{})
                           : work(Passes<T, false>(call.shape(), call.threads), T{});
    };
    if (call.dtype == 0) call_work(float{});
    else if (call.dtype == 1) call_work(BFloat16{});
    else call_work(_Float16{});
}

void divide(float* values, Index length, float divisor) {
    along(0, length, [&](auto zero, Index i) { store(values + i, load<decltype(zero)>(values + i) / divisor); });
}

void channel_weights(const ChannelNet& net, Shape shape, const float* logits, float* weights) {
    along(0, shape.samples * shape.channels, [&](auto zero, Index i) {
        store(weights + i, scaled_sigmoid(load<decltype(zero)>(logits + i), net.range));
    });
}

// Memory for the weights of both gates. Without a gate the weights are 1 and the maxima NaN, which no value equals.
class GateBuffers {
    Buffer channel, position, channel_maxima, position_maxima;

  public:
    GateBuffers(const Call& call)
        : channel(call.samples * call.channels, 1.0f), position(call.samples * call.height * call.width, 1.0f) {}

    float* channel_weights() { return channel.data(); }
    float* position_weights() { return position.data(); }

    GateValues with_maxima(const Call& call, const ChannelNet* channel_net, const SpatialNet* spatial_net,
                           const SavedTensors& saved) {
        if (!channel_net) channel_maxima.assign(2 * channel.size(), NAN);
        if (!spatial_net) position_maxima.assign(2 * position.size(), NAN);
        const Index positions = call.height * call.width;
        return {channel.data(), position.data(),
                channel_net ? saved.pooled + call.channels : channel_maxima.data(),
                spatial_net ? saved.planes + (spatial_net->average_first ? positions : 0) : position_maxima.data()};
    }
};

}  // namespace

extern "C" {

void cbam_forward(const Call* call, const ChannelNet* channel, const SpatialNet* spatial, const SavedTensors* saved,
                  const void* x, void* y) {
    const Shape shape = call->shape();
    const int threads = call->threads;
    GateBuffers gates(*call);
    with_passes(*call, [&](const auto& passes, auto stored) {
        using T = decltype(stored);
        const T* input = static_cast<const T*>(x);
        if (channel) {
            passes.reduce_positions(input, saved->pooled, saved->pooled + shape.channels);
            for (Index sample = 0; sample < shape.samples; ++sample)
                divide(saved->pooled + 2 * sample * shape.channels, shape.channels, shape.positions);
            channel_logits(*channel, shape, threads, saved->pooled, saved->channel_logits);
            channel_weights(*channel, shape, saved->channel_logits, gates.channel_weights());
        }
        if (spatial) {
            float* means = saved->planes + (spatial->average_first ? 0 : shape.positions);
            float* maxima = saved->planes + (spatial->average_first ? shape.positions : 0);
            passes.reduce_channels(input, gates.channel_weights(), means, maxima);
            for (Index sample = 0; sample < shape.samples; ++sample)
                divide(means + 2 * sample * shape.positions, shape.positions, shape.channels);
            const PaddedPlanes padded(shape.samples, 2, call->height, call->width, spatial->size, threads, saved->planes);
            correlate(padded, shape.samples, 1, threads, spatial->conv_weight, saved->spatial_logits);
            if (spatial->batch_statistics) batch_statistics(shape, threads, saved->spatial_logits, saved->mean, saved->var);
            const BatchNorm norm(*spatial, saved->mean, saved->var);
            spatial_weights(*spatial, norm, shape, threads, saved->spatial_logits, gates.position_weights());
        }
        passes.scale(input, gates.channel_weights(), gates.position_weights(), static_cast<T*>(y));
    });
}

void cbam_backward(const Call* call, const ChannelNet* channel, const SpatialNet* spatial, const SavedTensors* saved,
                   const void* x, const void* upstream, void* gradient, const ParameterGradients* out) {
    const Shape shape = call->shape();
    const Index in_channels = shape.samples * shape.channels, in_positions = shape.samples * shape.positions;
    const int threads = call->threads;
    GateBuffers buffers(*call);
    if (channel) channel_weights(*channel, shape, saved->channel_logits, buffers.channel_weights());
    if (spatial) {
        const BatchNorm norm(*spatial, saved->mean, saved->var);
        spatial_weights(*spatial, norm, shape, threads, saved->spatial_logits, buffers.position_weights());
    }
    const GateValues gates = buffers.with_maxima(*call, channel, spatial, *saved);
    Buffer channel_gradients(in_channels), channel_ties(in_channels), channel_pool_gradients(in_channels);
    Buffer position_gradients(in_positions), position_ties(in_positions), plane_gradients(2 * in_positions);
    Buffer channel_mean(in_channels), channel_max(in_channels);
    Buffer position_mean(in_positions), position_max(in_positions);
    const PoolGradients pools{channel_mean.data(), channel_max.data(), position_mean.data(), position_max.data()};
    with_passes(*call, [&](const auto& passes, auto stored) {
        using T = decltype(stored);
        const T *input = static_cast<const T*>(x), *upstream_map = static_cast<const T*>(upstream);
        passes.weight_gradients(
            input, upstream_map, gates,
            {channel_gradients.data(), channel_ties.data(), position_gradients.data(), position_ties.data()});
        if (spatial) {
            const BatchNorm norm(*spatial, saved->mean, saved->var);
            spatial_backward(*spatial, norm, shape, call->height, call->width, threads, saved->planes,
                             saved->spatial_logits, position_gradients.data(), out->spatial, plane_gradients.data());
            for_each_position(shape, threads, [&](auto zero, Index i) {
                using V = decltype(zero);
                // The two planes of a sample are stored one after the other.
                const float* plane = &plane_gradients[i + i / shape.positions * shape.positions];
                const float* mean_gradient = plane + (spatial->average_first ? 0 : shape.positions);
                const float* max_gradient = plane + (spatial->average_first ? shape.positions : 0);
                store(&position_mean[i], load<V>(mean_gradient) / static_cast<float>(shape.channels));
                store(&position_max[i], load<V>(max_gradient) / load<V>(&position_ties[i]));
            });
            if (channel) {
                passes.channel_pool_gradients(input, gates, pools, channel_pool_gradients.data());
                add_scaled(channel_gradients.data(), 1, channel_pool_gradients.data(), in_channels);
            }
        }
        if (channel) {
            channel_backward(*channel, shape, threads, saved->pooled, saved->channel_logits, channel_gradients.data(),
                             out->channel, channel_mean.data(), channel_max.data());
            divide(channel_mean.data(), in_channels, shape.positions);
            along(0, in_channels, [&](auto zero, Index i) {
                using V = decltype(zero);
                store(&channel_max[i], load<V>(&channel_max[i]) / load<V>(&channel_ties[i]));
            });
        }
        passes.feature_gradients(input, upstream_map, gates, pools, static_cast<T*>(gradient));
    });
}

}  // extern "C"
