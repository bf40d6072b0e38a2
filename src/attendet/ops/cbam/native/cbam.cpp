// CBAM forward and backward on a CPU; what Python calls, with the structures that it fills.

#include "gates.hpp"

namespace {

struct Call {
    Index samples, channels, height, width;
    int32_t dtype, last, threads;

    Shape shape() const { return {samples, channels, height * width}; }
};

// What the backward pass starts from besides the features; of a gate that is not there, pointers are null.
struct Kept {
    float *pooled, *channel_logits, *planes, *spatial_logits, *mean, *var;
};

struct ParameterGradients {
    ChannelGradients channel;
    SpatialGradients spatial;
};

// Calls work(passes, a value of the type that features are stored in).
template <class Work>
void with_passes(const Call& call, const Work& work) {
    const auto with = [&](auto stored) {
        using T = decltype(stored);
        call.last ? work(Passes<T, true>(call.shape(), call.threads), T{})
                  : work(Passes<T, false>(call.shape(), call.threads), T{});
    };
    if (call.dtype == 0) with(float{});
    else if (call.dtype == 1) with(BFloat16{});
    else with(_Float16{});
}

void divide(float* values, Index length, float divisor) {
    along(0, length, [&](auto zero, Index i) { store(values + i, load<decltype(zero)>(values + i) / divisor); });
}

void channel_weights(const ChannelNet& net, Shape shape, const float* logits, float* weights) {
    along(0, shape.samples * shape.channels, [&](auto zero, Index i) {
        store(weights + i, gate(load<decltype(zero)>(logits + i), net.range));
    });
}

// Weights of 1 where there is no gate, and maxima of NaN, which no value equals.
class AllGates {
    Buffer channel, position, channel_maxima, position_maxima;

  public:
    AllGates(const Call& call)
        : channel(call.samples * call.channels, 1.0f), position(call.samples * call.height * call.width, 1.0f) {}

    float* of_channels() { return channel.data(); }
    float* of_positions() { return position.data(); }

    Gates with_maxima(const Call& call, const ChannelNet* channel_net, const SpatialNet* spatial_net, const Kept& kept) {
        if (!channel_net) channel_maxima.assign(2 * channel.size(), NAN);
        if (!spatial_net) position_maxima.assign(2 * position.size(), NAN);
        const Index positions = call.height * call.width;
        return {channel.data(), position.data(),
                channel_net ? kept.pooled + call.channels : channel_maxima.data(),
                spatial_net ? kept.planes + (spatial_net->average_first ? positions : 0) : position_maxima.data()};
    }
};

}  // namespace

extern "C" {

void cbam_forward(const Call* call, const ChannelNet* channel, const SpatialNet* spatial, const Kept* kept,
                  const void* x, void* y) {
    const Shape shape = call->shape();
    const int threads = call->threads;
    AllGates gates(*call);
    with_passes(*call, [&](const auto& passes, auto stored) {
        using T = decltype(stored);
        const T* from = static_cast<const T*>(x);
        if (channel) {
            passes.pool_positions(from, kept->pooled, kept->pooled + shape.channels);
            for (Index sample = 0; sample < shape.samples; ++sample)
                divide(kept->pooled + 2 * sample * shape.channels, shape.channels, shape.positions);
            channel_logits(*channel, shape, threads, kept->pooled, kept->channel_logits);
            channel_weights(*channel, shape, kept->channel_logits, gates.of_channels());
        }
        if (spatial) {
            float* means = kept->planes + (spatial->average_first ? 0 : shape.positions);
            float* maxima = kept->planes + (spatial->average_first ? shape.positions : 0);
            passes.pool_channels(from, gates.of_channels(), means, maxima);
            for (Index sample = 0; sample < shape.samples; ++sample)
                divide(means + 2 * sample * shape.positions, shape.positions, shape.channels);
            const Padded padded(shape.samples, 2, call->height, call->width, spatial->size, threads, kept->planes);
            correlate(padded, shape.samples, 1, threads, spatial->conv_weight, kept->spatial_logits);
            if (spatial->batch_statistics) batch_statistics(shape, threads, kept->spatial_logits, kept->mean, kept->var);
            const Norm norm(*spatial, kept->mean, kept->var);
            spatial_weights(*spatial, norm, shape, threads, kept->spatial_logits, gates.of_positions());
        }
        passes.scale(from, gates.of_channels(), gates.of_positions(), static_cast<T*>(y));
    });
}

void cbam_backward(const Call* call, const ChannelNet* channel, const SpatialNet* spatial, const Kept* kept,
                   const void* x, const void* upstream, void* gradient, const ParameterGradients* out) {
    const Shape shape = call->shape();
    const Index in_channels = shape.samples * shape.channels, in_positions = shape.samples * shape.positions;
    const int threads = call->threads;
    AllGates weights(*call);
    if (channel) channel_weights(*channel, shape, kept->channel_logits, weights.of_channels());
    if (spatial) {
        const Norm norm(*spatial, kept->mean, kept->var);
        spatial_weights(*spatial, norm, shape, threads, kept->spatial_logits, weights.of_positions());
    }
    const Gates gates = weights.with_maxima(*call, channel, spatial, *kept);
    Buffer of_channels(in_channels), channel_ties(in_channels), of_positions(in_positions), position_ties(in_positions);
    Buffer channel_every(in_channels), channel_maximal(in_channels), gathered(in_channels);
    Buffer position_every(in_positions), position_maximal(in_positions), of_planes(2 * in_positions);
    const PoolGradients pools{channel_every.data(), channel_maximal.data(), position_every.data(),
                              position_maximal.data()};
    with_passes(*call, [&](const auto& passes, auto stored) {
        using T = decltype(stored);
        const T *from = static_cast<const T*>(x), *above = static_cast<const T*>(upstream);
        passes.weigh(from, above, gates,
                     {of_channels.data(), channel_ties.data(), of_positions.data(), position_ties.data()});
        if (spatial) {
            const Norm norm(*spatial, kept->mean, kept->var);
            spatial_backward(*spatial, norm, shape, call->height, call->width, threads, kept->planes,
                             kept->spatial_logits, of_positions.data(), out->spatial, of_planes.data());
            everywhere(shape, threads, [&](auto zero, Index i) {
                using V = decltype(zero);
                // Of the two planes of a sample, which lie one after the other.
                const float* plane = &of_planes[i + i / shape.positions * shape.positions];
                const float *of_mean = plane + (spatial->average_first ? 0 : shape.positions);
                const float *of_maximum = plane + (spatial->average_first ? shape.positions : 0);
                store(&position_every[i], load<V>(of_mean) / static_cast<float>(shape.channels));
                store(&position_maximal[i], load<V>(of_maximum) / load<V>(&position_ties[i]));
            });
            if (channel) {
                passes.gather(from, gates, pools, gathered.data());
                add_scaled(of_channels.data(), 1, gathered.data(), in_channels);
            }
        }
        if (channel) {
            channel_backward(*channel, shape, threads, kept->pooled, kept->channel_logits, of_channels.data(),
                             out->channel, channel_every.data(), channel_maximal.data());
            divide(channel_every.data(), in_channels, shape.positions);
            along(0, in_channels, [&](auto zero, Index i) {
                using V = decltype(zero);
                store(&channel_maximal[i], load<V>(&channel_maximal[i]) / load<V>(&channel_ties[i]));
            });
        }
        passes.spread(from, above, gates, pools, static_cast<T*>(gradient));
    });
}

}  // extern "C"
