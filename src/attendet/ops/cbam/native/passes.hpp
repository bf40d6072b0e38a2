// The passes over a feature map that the fused CBAM consists of.
//
// A map (N, C, H, W) is interpreted as N matrices. In a contiguous map the rows are channels, and a row contains positions.
// In a channels-last map the rows are positions, and a row contains channels. Numbers per channel and per position are
// therefore either constant within a row or different at each of its elements (Operand), and are reduced along rows or
// across rows (Reduction). Each pass is written once for both layouts.
//
// The division into tiles depends on the shape alone. Each tile writes its own partial results, which are combined in order,
// so that results do not depend on the number of threads.

#pragma once

#include "reductions.hpp"

namespace {

// Weights and maxima of both gates. The weights are (N, C) and (N, H, W). The maxima are stored next to the means, in the
// second half of (N, 2, C) and in one of the planes of (N, 2, H, W).
struct GateValues {
    const float *channel, *position, *channel_maxima, *position_maxima;
};

// Gradients of the features through the pools: `mean` applies to every value, `max` to the values that are the maximum.
struct PoolGradients {
    const float *channel_mean, *channel_max, *position_mean, *position_max;
};

// Gradients of both weights through the product with the features, and the number of values that share each maximum.
struct WeightGradients {
    float *channel, *channel_ties, *position, *position_ties;
};

// T is the type of the features in memory.
template <class T, bool channels_last>
struct Passes {
    Shape shape;
    int threads;
    Index rows = channels_last ? shape.positions : shape.channels;
    Index width = channels_last ? shape.channels : shape.positions;
    // Number of rows that are processed at the same time. Their sums are independent of each other, operands that differ
    // within a row are loaded once for all rows, and several memory regions are read at the same time. Rows of a
    // channels-last map are short and adjacent, where reading fewer regions is faster.
    static constexpr Index GROUP = channels_last ? 2 : 4;
    // Results of reductions across rows fit into the fastest cache. Maps are divided between positions rather than channels,
    // because there are fewer sums of channels to combine. Passes without reductions use whole rows, because memory is
    // written fastest in its order.
    Tiling tiling{shape.samples, rows, width, WidthLimits{channels_last ? 2048 : 512, 2048}, GROUP};
    Tiling whole_rows{shape.samples, rows, width, WidthLimits{width, width}, GROUP};

    Passes(Shape shape, int threads) : shape(shape), threads(threads) {}

    template <Index count>
    using PerChannel = Operand<!channels_last, count>;
    template <Index count>
    using PerPosition = Operand<channels_last, count>;
    template <class Operation>
    using OverPositions = Reduction<Operation, !channels_last, GROUP>;
    template <class Operation>
    using OverChannels = Reduction<Operation, channels_last, GROUP>;

    PartialResults channel_results(float* first, Index maps = 1) const {
        const Results results{first, shape.channels, maps * shape.channels};
        return {shape.samples, channels_last ? tiling.row_tiles : tiling.width_tiles, results};
    }
    PartialResults position_results(float* first, Index maps = 1) const {
        const Results results{first, shape.positions, maps * shape.positions};
        return {shape.samples, channels_last ? tiling.width_tiles : tiling.row_tiles, results};
    }
    float* channel_memory(PartialResults& results, const Tile& tile) const {
        return results.at(tile.sample, channels_last ? tile.row_tile : tile.width_tile);
    }
    float* position_memory(PartialResults& results, const Tile& tile) const {
        return results.at(tile.sample, channels_last ? tile.width_tile : tile.row_tile);
    }
    template <class V, Index count>
    Column<V, count> rows_at(const T* input) const {
        Column<V, count> column;
        for (Index r = 0; r < count; ++r) column[r] = load<V>(input + r * width);
        return column;
    }
    void prepare_output(T* out, const Tile& tile) const {
        map_pages(out + row_start(tile, tile.row_begin), (tile.row_end - tile.row_begin) * width * sizeof(T));
    }
    Index row_start(const Tile& tile, Index row) const { return (tile.sample * tiling.rows + row) * tiling.width; }
    const float* channels_of(const float* values, const Tile& tile, Index maps = 1) const {
        return values + tile.sample * maps * shape.channels;
    }
    const float* positions_of(const float* values, const Tile& tile, Index maps = 1) const {
        return values + tile.sample * maps * shape.positions;
    }

    // Sums and maxima of a sample are stored next to each other, see GateValues.
    void reduce_positions(const T* x, float* sums, float* maxima) const {
        PartialResults sum_results = channel_results(sums, 2), maximum_results = channel_results(maxima, 2);
        for_each_tile(shape, tiling, threads, [&](const Tile& tile) {
            OverPositions<Add> sum(channel_memory(sum_results, tile), tile);
            OverPositions<Max> maximum(channel_memory(maximum_results, tile), tile);
            for_each_group<GROUP>(tile.row_begin, tile.row_end, [&](auto size, Index row) {
                constexpr Index count = size;
                const T* input = x + row_start(tile, row);
                along(tile.begin, tile.end, [&](auto zero, Index i) {
                    const auto values = rows_at<decltype(zero), count>(input + i);
                    sum.add(i, values);
                    maximum.add(i, values);
                });
                sum.finish_rows(row, count);
                maximum.finish_rows(row, count);
            });
        });
        sum_results.template combine<Add>();
        maximum_results.template combine<Max>();
    }

    void reduce_channels(const T* x, const float* channel, float* sums, float* maxima) const {
        PartialResults sum_results = position_results(sums, 2), maximum_results = position_results(maxima, 2);
        for_each_tile(shape, tiling, threads, [&](const Tile& tile) {
            OverChannels<Add> sum(position_memory(sum_results, tile), tile);
            OverChannels<Max> maximum(position_memory(maximum_results, tile), tile);
            for_each_group<GROUP>(tile.row_begin, tile.row_end, [&](auto size, Index row) {
                constexpr Index count = size;
                const T* input = x + row_start(tile, row);
                const PerChannel<count> weights(channels_of(channel, tile), row);
                along(tile.begin, tile.end, [&](auto zero, Index i) {
                    auto gated = rows_at<decltype(zero), count>(input + i);
                    const auto a = weights.at(zero, i);
                    for (Index r = 0; r < count; ++r) gated[r] *= a[r];
                    sum.add(i, gated);
                    maximum.add(i, gated);
                });
                sum.finish_rows(row, count);
                maximum.finish_rows(row, count);
            });
        });
        sum_results.template combine<Add>();
        maximum_results.template combine<Max>();
    }

    void scale(const T* x, const float* channel, const float* position, T* y) const {
        for_each_tile(shape, whole_rows, threads, [&](const Tile& tile) {
            prepare_output(y, tile);
            for_each_group<GROUP>(tile.row_begin, tile.row_end, [&](auto size, Index row) {
                constexpr Index count = size;
                const T* input = x + row_start(tile, row);
                T* output = y + row_start(tile, row);
                const PerChannel<count> channel_weights(channels_of(channel, tile), row);
                const PerPosition<count> position_weights(positions_of(position, tile), row);
                along(tile.begin, tile.end, [&](auto zero, Index i) {
                    const auto values = rows_at<decltype(zero), count>(input + i);
                    const auto a = channel_weights.at(zero, i), s = position_weights.at(zero, i);
                    for (Index r = 0; r < count; ++r) store(output + r * width + i, values[r] * a[r] * s[r]);
                });
            });
        });
    }

    // Computes Σ over channels of upstream·x·a, Σ over positions of upstream·x·s, and the number of values at each maximum.
    void weight_gradients(const T* x, const T* upstream, const GateValues& gates, const WeightGradients& out) const {
        PartialResults channel_sum_results = channel_results(out.channel);
        PartialResults channel_tie_results = channel_results(out.channel_ties);
        PartialResults position_sum_results = position_results(out.position);
        PartialResults position_tie_results = position_results(out.position_ties);
        for_each_tile(shape, tiling, threads, [&](const Tile& tile) {
            OverPositions<Add> channel_sum(channel_memory(channel_sum_results, tile), tile);
            OverPositions<Add> channel_ties(channel_memory(channel_tie_results, tile), tile);
            OverChannels<Add> position_sum(position_memory(position_sum_results, tile), tile);
            OverChannels<Add> position_ties(position_memory(position_tie_results, tile), tile);
            for_each_group<GROUP>(tile.row_begin, tile.row_end, [&](auto size, Index row) {
                constexpr Index count = size;
                const T* input = x + row_start(tile, row);
                const T* upstream_row = upstream + row_start(tile, row);
                const PerChannel<count> channel_weights(channels_of(gates.channel, tile), row);
                const PerPosition<count> position_weights(positions_of(gates.position, tile), row);
                const PerChannel<count> channel_maxima(channels_of(gates.channel_maxima, tile, 2), row);
                const PerPosition<count> position_maxima(positions_of(gates.position_maxima, tile, 2), row);
                along(tile.begin, tile.end, [&](auto zero, Index i) {
                    using V = decltype(zero);
                    const auto values = rows_at<V, count>(input + i), gradients = rows_at<V, count>(upstream_row + i);
                    const auto a = channel_weights.at(zero, i), s = position_weights.at(zero, i);
                    const auto a_max = channel_maxima.at(zero, i), s_max = position_maxima.at(zero, i);
                    Column<V, count> position_terms, channel_terms, is_position_maximum, is_channel_maximum;
                    for (Index r = 0; r < count; ++r) {
                        const V product = gradients[r] * values[r];
                        position_terms[r] = product * a[r];
                        channel_terms[r] = product * s[r];
                        is_channel_maximum[r] = values[r] == a_max[r] ? zero + 1 : zero;
                        is_position_maximum[r] = values[r] * a[r] == s_max[r] ? zero + 1 : zero;
                    }
                    position_sum.add(i, position_terms);
                    channel_sum.add(i, channel_terms);
                    channel_ties.add(i, is_channel_maximum);
                    position_ties.add(i, is_position_maximum);
                });
                channel_sum.finish_rows(row, count);
                channel_ties.finish_rows(row, count);
                position_sum.finish_rows(row, count);
                position_ties.finish_rows(row, count);
            });
        });
        channel_sum_results.template combine<Add>();
        channel_tie_results.template combine<Add>();
        position_sum_results.template combine<Add>();
        position_tie_results.template combine<Add>();
    }

    // Computes the gradient of a through the pools over channels: Σ over positions of x·(mean + [x·a is the maximum]·max),
    // where mean and max are the gradients of PoolGradients.
    void channel_pool_gradients(const T* x, const GateValues& gates, const PoolGradients& pools, float* sums) const {
        PartialResults results = channel_results(sums);
        for_each_tile(shape, tiling, threads, [&](const Tile& tile) {
            OverPositions<Add> sum(channel_memory(results, tile), tile);
            for_each_group<GROUP>(tile.row_begin, tile.row_end, [&](auto size, Index row) {
                constexpr Index count = size;
                const T* input = x + row_start(tile, row);
                const PerChannel<count> weights(channels_of(gates.channel, tile), row);
                const PerPosition<count> maxima(positions_of(gates.position_maxima, tile, 2), row);
                const PerPosition<count> mean_gradients(positions_of(pools.position_mean, tile), row);
                const PerPosition<count> max_gradients(positions_of(pools.position_max, tile), row);
                along(tile.begin, tile.end, [&](auto zero, Index i) {
                    auto values = rows_at<decltype(zero), count>(input + i);
                    const auto a = weights.at(zero, i), s_max = maxima.at(zero, i);
                    const auto mean_gradient = mean_gradients.at(zero, i), max_gradient = max_gradients.at(zero, i);
                    for (Index r = 0; r < count; ++r)
                        values[r] *= mean_gradient[r] + (values[r] * a[r] == s_max[r] ? max_gradient[r] : zero);
                    sum.add(i, values);
                });
                sum.finish_rows(row, count);
            });
        });
        results.template combine<Add>();
    }

    // Computes the gradient of x through the product, the pools over channels, and the pools over positions.
    void feature_gradients(const T* x, const T* upstream, const GateValues& gates, const PoolGradients& pools,
                           T* gradient) const {
        for_each_tile(shape, whole_rows, threads, [&](const Tile& tile) {
            prepare_output(gradient, tile);
            for_each_group<GROUP>(tile.row_begin, tile.row_end, [&](auto size, Index row) {
                constexpr Index count = size;
                const T* input = x + row_start(tile, row);
                const T* upstream_row = upstream + row_start(tile, row);
                T* output = gradient + row_start(tile, row);
                const PerChannel<count> channel_weights(channels_of(gates.channel, tile), row);
                const PerPosition<count> position_weights(positions_of(gates.position, tile), row);
                const PerChannel<count> channel_maxima(channels_of(gates.channel_maxima, tile, 2), row);
                const PerPosition<count> position_maxima(positions_of(gates.position_maxima, tile, 2), row);
                const PerChannel<count> channel_mean(channels_of(pools.channel_mean, tile), row);
                const PerChannel<count> channel_max(channels_of(pools.channel_max, tile), row);
                const PerPosition<count> position_mean(positions_of(pools.position_mean, tile), row);
                const PerPosition<count> position_max(positions_of(pools.position_max, tile), row);
                along(tile.begin, tile.end, [&](auto zero, Index i) {
                    using V = decltype(zero);
                    const auto values = rows_at<V, count>(input + i), gradients = rows_at<V, count>(upstream_row + i);
                    const auto a = channel_weights.at(zero, i), s = position_weights.at(zero, i);
                    const auto a_max = channel_maxima.at(zero, i), s_max = position_maxima.at(zero, i);
                    const auto a_mean_gradient = channel_mean.at(zero, i), a_max_gradient = channel_max.at(zero, i);
                    const auto s_mean_gradient = position_mean.at(zero, i), s_max_gradient = position_max.at(zero, i);
                    for (Index r = 0; r < count; ++r) {
                        const V gated_gradient = gradients[r] * s[r] + s_mean_gradient[r] +
                                                 (values[r] * a[r] == s_max[r] ? s_max_gradient[r] : zero);
                        const V pool_gradient =
                            a_mean_gradient[r] + (values[r] == a_max[r] ? a_max_gradient[r] : zero);
                        store(output + r * width + i, a[r] * gated_gradient + pool_gradient);
                    }
                });
            });
        });
    }
};

}  // namespace
