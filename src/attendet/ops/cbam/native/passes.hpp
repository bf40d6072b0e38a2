// The passes over a feature map of which the fused CBAM is made.
//
// A map (N, C, H, W) is seen as N matrices: contiguous, its rows are channels and a row runs over positions;
// channels-last, its rows are positions and a row runs over channels. Numbers per channel and numbers per position are
// then constant along a row, or another at each place of it (Operand), and are reduced along rows, or across them
// (Sum, Maximum); so each pass is written once for both layouts.
//
// Work is cut into tiles that depend on the shape alone. Each tile reduces into memory of its own, and these parts are
// joined in order: results do not depend on the number of threads.

#pragma once

#include <algorithm>
#include <limits>
#include <vector>

#include "lanes.hpp"

namespace {

struct Shape {
    Index samples, channels, positions;
};

// How the map is cut. A tile is 64k numbers where the map allows: it stays in the cache next to a core, and most maps
// give every thread several.
struct Tiling {
    Index rows, width, row_step, width_step, row_tiles, width_tiles;

    Tiling(Index rows, Index width, Index widest) : rows(rows), width(width) {
        width_step = std::clamp<Index>(width, 1, widest);
        row_step = std::clamp<Index>((Index{1} << 16) / width_step, 1, std::max<Index>(rows, 1));
        row_tiles = (rows + row_step - 1) / row_step;
        width_tiles = (width + width_step - 1) / width_step;
    }
};

struct Tile {
    Index sample, row_tile, width_tile, row_begin, row_end, begin, end;
};

template <class Work>
void for_each_tile(const Shape& shape, const Tiling& tiling, int threads, const Work& work) {
    const Index tiles = tiling.row_tiles * tiling.width_tiles;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (Index item = 0; item < shape.samples * tiles; ++item) {
        Tile tile;
        tile.sample = item / tiles;
        tile.row_tile = item % tiles / tiling.width_tiles;
        tile.width_tile = item % tiling.width_tiles;
        tile.row_begin = tile.row_tile * tiling.row_step;
        tile.row_end = std::min(tiling.rows, tile.row_begin + tiling.row_step);
        tile.begin = tile.width_tile * tiling.width_step;
        tile.end = std::min(tiling.width, tile.begin + tiling.width_step);
        work(tile);
    }
}

// A number per channel or position, as a row sees it.
template <bool constant>
class Operand {
    const float* values;
    float value;

  public:
    Operand(const float* values, Index row) : values(values), value(constant ? values[row] : 0) {}

    template <class V>
    V at(V zero, Index i) const {
        if constexpr (constant) return value - zero;  // a sum with zero would lose the sign of a negative zero
        else return load<V>(values + i);
    }
};

struct Add {
    static constexpr float start = 0;
    template <class V>
    static V join(V a, V b) {
        return a + b;
    }
};

struct Max {
    static constexpr float start = -std::numeric_limits<float>::infinity();
    template <class V>
    static V join(V a, V b) {
        return larger(a, b);
    }
};

// One number for each row, reduced along it, or for each place of a row, reduced across rows.
template <class Join, bool along_rows>
class Reduction {
    float* out;
    Lanes lanes = Join::start - Lanes{};
    float rest = Join::start;

  public:
    Reduction(float* out, const Tile& tile) : out(out) {
        if constexpr (!along_rows) std::fill(out + tile.begin, out + tile.end, Join::start);
    }

    template <class V>
    void take(Index i, V value) {
        if constexpr (!along_rows) store(out + i, Join::join(load<V>(out + i), value));
        else if constexpr (sizeof(V) == sizeof(float)) rest = Join::join(rest, value);
        else lanes = Join::join(lanes, value);
    }

    void end_row(Index row) {
        if constexpr (along_rows) {
            for (Index i = 0; i < WIDTH; ++i) rest = Join::join(rest, lanes[i]);
            out[row] = rest;
            lanes = Join::start - Lanes{};
            rest = Join::start;
        }
    }
};

// Where results of samples lie: each has `length` numbers, `pitch` after those of the sample before.
struct Results {
    float* first;
    Index length, pitch;

    float* of(Index sample) const { return first + sample * pitch; }
};

// What tiles reduce into, and the joining of it in the order of the tiles.
class Parts {
    Index samples, tiles;
    Results results;
    std::vector<float> parts;

  public:
    Parts(Index samples, Index tiles, Results results)
        : samples(samples), tiles(tiles), results(results),
          parts(tiles == 1 ? 0 : samples * tiles * results.length) {}

    float* of(Index sample, Index tile) {
        return tiles == 1 ? results.of(sample) : parts.data() + (sample * tiles + tile) * results.length;
    }

    template <class Join>
    void join() {
        if (tiles == 1) return;
        for (Index sample = 0; sample < samples; ++sample) {
            float* to = results.of(sample);
            std::fill(to, to + results.length, Join::start);
            for (Index tile = 0; tile < tiles; ++tile) {
                const float* part = of(sample, tile);
                along(0, results.length, [&](auto zero, Index i) {
                    using V = decltype(zero);
                    store(to + i, Join::join(load<V>(to + i), load<V>(part + i)));
                });
            }
        }
    }
};

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
    // What is reduced across rows stays in the nearest cache; where nothing is, memory is best written as it lies.
    Tiling tiling{rows, width, 2048}, whole_rows{rows, width, std::max<Index>(width, 1)};

    Passes(Shape shape, int threads) : shape(shape), threads(threads) {}

    using PerChannel = Operand<!last>;
    using PerPosition = Operand<last>;
    template <class Join>
    using OverPositions = Reduction<Join, !last>;
    template <class Join>
    using OverChannels = Reduction<Join, last>;

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
            for (Index row = tile.row_begin; row < tile.row_end; ++row) {
                const T* from = x + row_start(tile, row);
                along(tile.begin, tile.end, [&](auto zero, Index i) {
                    const auto value = load<decltype(zero)>(from + i);
                    sum.take(i, value);
                    maximum.take(i, value);
                });
                sum.end_row(row);
                maximum.end_row(row);
            }
        });
        sum_parts.template join<Add>();
        maximum_parts.template join<Max>();
    }

    void pool_channels(const T* x, const float* channel, float* sums, float* maxima) const {
        Parts sum_parts = position_parts(sums, 2), maximum_parts = position_parts(maxima, 2);
        for_each_tile(shape, tiling, threads, [&](const Tile& tile) {
            OverChannels<Add> sum(of_positions(sum_parts, tile), tile);
            OverChannels<Max> maximum(of_positions(maximum_parts, tile), tile);
            for (Index row = tile.row_begin; row < tile.row_end; ++row) {
                const T* from = x + row_start(tile, row);
                const PerChannel weight(channels_of(channel, tile), row);
                along(tile.begin, tile.end, [&](auto zero, Index i) {
                    const auto gated = load<decltype(zero)>(from + i) * weight.at(zero, i);
                    sum.take(i, gated);
                    maximum.take(i, gated);
                });
                sum.end_row(row);
                maximum.end_row(row);
            }
        });
        sum_parts.template join<Add>();
        maximum_parts.template join<Max>();
    }

    void scale(const T* x, const float* channel, const float* position, T* y) const {
        for_each_tile(shape, whole_rows, threads, [&](const Tile& tile) {
            for (Index row = tile.row_begin; row < tile.row_end; ++row) {
                const T* from = x + row_start(tile, row);
                T* to = y + row_start(tile, row);
                const PerChannel a(channels_of(channel, tile), row);
                const PerPosition s(positions_of(position, tile), row);
                along(tile.begin, tile.end, [&](auto zero, Index i) {
                    store(to + i, load<decltype(zero)>(from + i) * a.at(zero, i) * s.at(zero, i));
                });
            }
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
            for (Index row = tile.row_begin; row < tile.row_end; ++row) {
                const T* from = x + row_start(tile, row);
                const T* above = upstream + row_start(tile, row);
                const PerChannel a(channels_of(gates.channel, tile), row);
                const PerPosition s(positions_of(gates.position, tile), row);
                const PerChannel a_max(channels_of(gates.channel_maxima, tile, 2), row);
                const PerPosition s_max(positions_of(gates.position_maxima, tile, 2), row);
                along(tile.begin, tile.end, [&](auto zero, Index i) {
                    using V = decltype(zero);
                    const V value = load<V>(from + i), product = load<V>(above + i) * value;
                    const V weight = a.at(zero, i);
                    position_sum.take(i, product * weight);
                    channel_sum.take(i, product * s.at(zero, i));
                    channel_tie.take(i, value == a_max.at(zero, i) ? zero + 1 : zero);
                    position_tie.take(i, value * weight == s_max.at(zero, i) ? zero + 1 : zero);
                });
                channel_sum.end_row(row);
                channel_tie.end_row(row);
                position_sum.end_row(row);
                position_tie.end_row(row);
            }
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
            for (Index row = tile.row_begin; row < tile.row_end; ++row) {
                const T* from = x + row_start(tile, row);
                const PerChannel a(channels_of(gates.channel, tile), row);
                const PerPosition s_max(positions_of(gates.position_maxima, tile, 2), row);
                const PerPosition to_every(positions_of(pools.position_every, tile), row);
                const PerPosition to_maximal(positions_of(pools.position_maximal, tile), row);
                along(tile.begin, tile.end, [&](auto zero, Index i) {
                    const auto value = load<decltype(zero)>(from + i);
                    const auto largest = value * a.at(zero, i) == s_max.at(zero, i);
                    sum.take(i, value * (to_every.at(zero, i) + (largest ? to_maximal.at(zero, i) : zero)));
                });
                sum.end_row(row);
            }
        });
        parts.template join<Add>();
    }

    // What reaches x: through the product, the pools over channels and the pools over positions.
    void spread(const T* x, const T* upstream, const Gates& gates, const PoolGradients& pools, T* gradient) const {
        for_each_tile(shape, whole_rows, threads, [&](const Tile& tile) {
            for (Index row = tile.row_begin; row < tile.row_end; ++row) {
                const T* from = x + row_start(tile, row);
                const T* above = upstream + row_start(tile, row);
                T* to = gradient + row_start(tile, row);
                const PerChannel a(channels_of(gates.channel, tile), row);
                const PerPosition s(positions_of(gates.position, tile), row);
                const PerChannel a_max(channels_of(gates.channel_maxima, tile, 2), row);
                const PerPosition s_max(positions_of(gates.position_maxima, tile, 2), row);
                const PerChannel a_every(channels_of(pools.channel_every, tile), row);
                const PerChannel a_maximal(channels_of(pools.channel_maximal, tile), row);
                const PerPosition s_every(positions_of(pools.position_every, tile), row);
                const PerPosition s_maximal(positions_of(pools.position_maximal, tile), row);
                along(tile.begin, tile.end, [&](auto zero, Index i) {
                    using V = decltype(zero);
                    const V value = load<V>(from + i), weight = a.at(zero, i);
                    const V of_gated = load<V>(above + i) * s.at(zero, i) + s_every.at(zero, i) +
                                       (value * weight == s_max.at(zero, i) ? s_maximal.at(zero, i) : zero);
                    const V of_pools =
                        a_every.at(zero, i) + (value == a_max.at(zero, i) ? a_maximal.at(zero, i) : zero);
                    store(to + i, weight * of_gated + of_pools);
                });
            }
        });
    }
};

}  // namespace
