// The passes over a feature map of which the fused CBAM is made.
//
// A map (N, C, H, W) is seen as N matrices: contiguous, its rows are channels and a row runs over positions;
// channels-last, its rows are positions and a row runs over channels. Numbers per channel and numbers per position are
// then constant along a row, or another at each place of it (Operand), and are reduced along rows, or across them
// (Reduction); so each pass is written once for both layouts.
//
// Work is cut into tiles that depend on the shape alone. Each tile reduces into memory of its own, and these parts are
// joined in order: results do not depend on the number of threads.

#pragma once

#include "reductions.hpp"

namespace {

// Weights of channels (N, C) and of positions (N, H, W), and the maxima that they were computed from, which lie beside
// the means: as (N, 2, C) and (N, 2, H, W).
struct Gates {
    const float *channel, *position, *channel_maxima, *position_maxima;
};

// What reaches every value through the pools, and besides it those that are the maximum.
struct PoolGradients {
    const float *channel_every, *channel_maximal, *position_every, *position_maximal;
};

// What both weights receive through the product with the features, and how many values share each maximum.
struct WeightGradients {
    float *channel, *channel_ties, *position, *position_ties;
};

// T is how features are stored; last says that the map is channels-last.
template <class T, bool last>
struct Passes {
    Shape shape;
    int threads;
    Index rows = last ? shape.positions : shape.channels, width = last ? shape.channels : shape.positions;
    // As many rows are passed over at once: their sums do not wait for one another, what is another at each place of a
    // row is read once for all, and memory is read in several places at a time. Rows of a channels-last map are short and
    // lie next to one another, where memory is best read in fewer places.
    static constexpr Index GROUP = last ? 2 : 4;
    // What is reduced across rows stays in the nearest cache, and maps are cut between positions rather than channels, for
    // there are fewer sums of channels to be joined; where nothing is reduced, memory is best written as it lies.
    Tiling tiling{shape.samples, rows, width, Widths{last ? 2048 : 512, 2048}, GROUP};
    Tiling whole_rows{shape.samples, rows, width, Widths{width, width}, GROUP};

    Passes(Shape shape, int threads) : shape(shape), threads(threads) {}

    template <Index count>
    using PerChannel = Operand<!last, count>;
    template <Index count>
    using PerPosition = Operand<last, count>;
    template <class Join>
    using OverPositions = Reduction<Join, !last, GROUP>;
    template <class Join>
    using OverChannels = Reduction<Join, last, GROUP>;

    Parts channel_parts(float* first, Index maps = 1) const {
        const Results results{first, shape.channels, maps * shape.channels};
        return {shape.samples, last ? tiling.row_tiles : tiling.width_tiles, results};
    }
    Parts position_parts(float* first, Index maps = 1) const {
        const Results results{first, shape.positions, maps * shape.positions};
        return {shape.samples, last ? tiling.width_tiles : tiling.row_tiles, results};
    }
    float* of_channels(Parts& parts, const Tile& tile) const {
        return parts.of(tile.sample, last ? tile.row_tile : tile.width_tile);
    }
    float* of_positions(Parts& parts, const Tile& tile) const {
        return parts.of(tile.sample, last ? tile.width_tile : tile.row_tile);
    }
    template <class V, Index count>
    Column<V, count> rows_at(const T* from) const {
        Column<V, count> column;
        for (Index r = 0; r < count; ++r) column[r] = load<V>(from + r * width);
        return column;
    }
    void write_pages(T* out, const Tile& tile) const {
        have_pages(out + row_start(tile, tile.row_begin), (tile.row_end - tile.row_begin) * width * sizeof(T));
    }
    Index row_start(const Tile& tile, Index row) const { return (tile.sample * tiling.rows + row) * tiling.width; }
    const float* channels_of(const float* values, const Tile& tile, Index maps = 1) const {
        return values + tile.sample * maps * shape.channels;
    }
    const float* positions_of(const float* values, const Tile& tile, Index maps = 1) const {
        return values + tile.sample * maps * shape.positions;
    }

    // Sums and maxima lie side by side, as in Gates.
    void pool_positions(const T* x, float* sums, float* maxima) const {
        Parts sum_parts = channel_parts(sums, 2), maximum_parts = channel_parts(maxima, 2);
        for_each_tile(shape, tiling, threads, [&](const Tile& tile) {
            OverPositions<Add> sum(of_channels(sum_parts, tile), tile);
            OverPositions<Max> maximum(of_channels(maximum_parts, tile), tile);
            for_each_group<GROUP>(tile.row_begin, tile.row_end, [&](auto size, Index row) {
                constexpr Index count = size;
                const T* from = x + row_start(tile, row);
                along(tile.begin, tile.end, [&](auto zero, Index i) {
                    const auto values = rows_at<decltype(zero), count>(from + i);
                    sum.take(i, values);
                    maximum.take(i, values);
                });
                sum.end_rows(row, count);
                maximum.end_rows(row, count);
            });
        });
        sum_parts.template join<Add>();
        maximum_parts.template join<Max>();
    }

    void pool_channels(const T* x, const float* channel, float* sums, float* maxima) const {
        Parts sum_parts = position_parts(sums, 2), maximum_parts = position_parts(maxima, 2);
        for_each_tile(shape, tiling, threads, [&](const Tile& tile) {
            OverChannels<Add> sum(of_positions(sum_parts, tile), tile);
            OverChannels<Max> maximum(of_positions(maximum_parts, tile), tile);
            for_each_group<GROUP>(tile.row_begin, tile.row_end, [&](auto size, Index row) {
                constexpr Index count = size;
                const T* from = x + row_start(tile, row);
                const PerChannel<count> weights(channels_of(channel, tile), row);
                along(tile.begin, tile.end, [&](auto zero, Index i) {
                    auto gated = rows_at<decltype(zero), count>(from + i);
                    const auto a = weights.at(zero, i);
                    for (Index r = 0; r < count; ++r) gated[r] *= a[r];
                    sum.take(i, gated);
                    maximum.take(i, gated);
                });
                sum.end_rows(row, count);
                maximum.end_rows(row, count);
            });
        });
        sum_parts.template join<Add>();
        maximum_parts.template join<Max>();
    }

    void scale(const T* x, const float* channel, const float* position, T* y) const {
        for_each_tile(shape, whole_rows, threads, [&](const Tile& tile) {
            write_pages(y, tile);
            for_each_group<GROUP>(tile.row_begin, tile.row_end, [&](auto size, Index row) {
                constexpr Index count = size;
                const T* from = x + row_start(tile, row);
                T* to = y + row_start(tile, row);
                const PerChannel<count> channel_weights(channels_of(channel, tile), row);
                const PerPosition<count> position_weights(positions_of(position, tile), row);
                along(tile.begin, tile.end, [&](auto zero, Index i) {
                    const auto values = rows_at<decltype(zero), count>(from + i);
                    const auto a = channel_weights.at(zero, i), s = position_weights.at(zero, i);
                    for (Index r = 0; r < count; ++r) store(to + r * width + i, values[r] * a[r] * s[r]);
                });
            });
        });
    }

    // Σ over channels of upstream·x·a, Σ over positions of upstream·x·s, and how many share each maximum.
    void weigh(const T* x, const T* upstream, const Gates& gates, const WeightGradients& out) const {
        Parts channel_sum_parts = channel_parts(out.channel), channel_tie_parts = channel_parts(out.channel_ties);
        Parts position_sum_parts = position_parts(out.position), position_tie_parts = position_parts(out.position_ties);
        for_each_tile(shape, tiling, threads, [&](const Tile& tile) {
            OverPositions<Add> channel_sum(of_channels(channel_sum_parts, tile), tile);
            OverPositions<Add> channel_tie(of_channels(channel_tie_parts, tile), tile);
            OverChannels<Add> position_sum(of_positions(position_sum_parts, tile), tile);
            OverChannels<Add> position_tie(of_positions(position_tie_parts, tile), tile);
            for_each_group<GROUP>(tile.row_begin, tile.row_end, [&](auto size, Index row) {
                constexpr Index count = size;
                const T* from = x + row_start(tile, row);
                const T* above = upstream + row_start(tile, row);
                const PerChannel<count> channel_weights(channels_of(gates.channel, tile), row);
                const PerPosition<count> position_weights(positions_of(gates.position, tile), row);
                const PerChannel<count> channel_maxima(channels_of(gates.channel_maxima, tile, 2), row);
                const PerPosition<count> position_maxima(positions_of(gates.position_maxima, tile, 2), row);
                along(tile.begin, tile.end, [&](auto zero, Index i) {
                    using V = decltype(zero);
                    const auto values = rows_at<V, count>(from + i), gradients = rows_at<V, count>(above + i);
                    const auto a = channel_weights.at(zero, i), s = position_weights.at(zero, i);
                    const auto a_max = channel_maxima.at(zero, i), s_max = position_maxima.at(zero, i);
                    Column<V, count> of_positions, of_channels, at_position_maxima, at_channel_maxima;
                    for (Index r = 0; r < count; ++r) {
                        const V product = gradients[r] * values[r];
                        of_positions[r] = product * a[r];
                        of_channels[r] = product * s[r];
                        at_channel_maxima[r] = values[r] == a_max[r] ? zero + 1 : zero;
                        at_position_maxima[r] = values[r] * a[r] == s_max[r] ? zero + 1 : zero;
                    }
                    position_sum.take(i, of_positions);
                    channel_sum.take(i, of_channels);
                    channel_tie.take(i, at_channel_maxima);
                    position_tie.take(i, at_position_maxima);
                });
                channel_sum.end_rows(row, count);
                channel_tie.end_rows(row, count);
                position_sum.end_rows(row, count);
                position_tie.end_rows(row, count);
            });
        });
        channel_sum_parts.template join<Add>();
        channel_tie_parts.template join<Add>();
        position_sum_parts.template join<Add>();
        position_tie_parts.template join<Add>();
    }

    // Σ over positions of x·(every + [x·a is the maximum]·maximal): what reaches a through the pools over channels.
    void gather(const T* x, const Gates& gates, const PoolGradients& pools, float* sums) const {
        Parts parts = channel_parts(sums);
        for_each_tile(shape, tiling, threads, [&](const Tile& tile) {
            OverPositions<Add> sum(of_channels(parts, tile), tile);
            for_each_group<GROUP>(tile.row_begin, tile.row_end, [&](auto size, Index row) {
                constexpr Index count = size;
                const T* from = x + row_start(tile, row);
                const PerChannel<count> weights(channels_of(gates.channel, tile), row);
                const PerPosition<count> maxima(positions_of(gates.position_maxima, tile, 2), row);
                const PerPosition<count> to_every(positions_of(pools.position_every, tile), row);
                const PerPosition<count> to_maximal(positions_of(pools.position_maximal, tile), row);
                along(tile.begin, tile.end, [&](auto zero, Index i) {
                    auto values = rows_at<decltype(zero), count>(from + i);
                    const auto a = weights.at(zero, i), s_max = maxima.at(zero, i);
                    const auto every = to_every.at(zero, i), maximal = to_maximal.at(zero, i);
                    for (Index r = 0; r < count; ++r)
                        values[r] *= every[r] + (values[r] * a[r] == s_max[r] ? maximal[r] : zero);
                    sum.take(i, values);
                });
                sum.end_rows(row, count);
            });
        });
        parts.template join<Add>();
    }

    // What reaches x: through the product, the pools over channels and the pools over positions.
    void spread(const T* x, const T* upstream, const Gates& gates, const PoolGradients& pools, T* gradient) const {
        for_each_tile(shape, whole_rows, threads, [&](const Tile& tile) {
            write_pages(gradient, tile);
            for_each_group<GROUP>(tile.row_begin, tile.row_end, [&](auto size, Index row) {
                constexpr Index count = size;
                const T* from = x + row_start(tile, row);
                const T* above = upstream + row_start(tile, row);
                T* to = gradient + row_start(tile, row);
                const PerChannel<count> channel_weights(channels_of(gates.channel, tile), row);
                const PerPosition<count> position_weights(positions_of(gates.position, tile), row);
                const PerChannel<count> channel_maxima(channels_of(gates.channel_maxima, tile, 2), row);
                const PerPosition<count> position_maxima(positions_of(gates.position_maxima, tile, 2), row);
                const PerChannel<count> channel_every(channels_of(pools.channel_every, tile), row);
                const PerChannel<count> channel_maximal(channels_of(pools.channel_maximal, tile), row);
                const PerPosition<count> position_every(positions_of(pools.position_every, tile), row);
                const PerPosition<count> position_maximal(positions_of(pools.position_maximal, tile), row);
                along(tile.begin, tile.end, [&](auto zero, Index i) {
                    using V = decltype(zero);
                    const auto values = rows_at<V, count>(from + i), gradients = rows_at<V, count>(above + i);
                    const auto a = channel_weights.at(zero, i), s = position_weights.at(zero, i);
                    const auto a_max = channel_maxima.at(zero, i), s_max = position_maxima.at(zero, i);
                    const auto a_every = channel_every.at(zero, i), a_maximal = channel_maximal.at(zero, i);
                    const auto s_every = position_every.at(zero, i), s_maximal = position_maximal.at(zero, i);
                    for (Index r = 0; r < count; ++r) {
                        const V of_gated = gradients[r] * s[r] + s_every[r] +
                                           (values[r] * a[r] == s_max[r] ? s_maximal[r] : zero);
                        const V of_pools = a_every[r] + (values[r] == a_max[r] ? a_maximal[r] : zero);
                        store(to + r * width + i, a[r] * of_gated + of_pools);
                    }
                });
            });
        });
    }
};

}  // namespace
