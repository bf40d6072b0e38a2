// What groups of rows are computed with: numbers per channel or position as rows see them, and what rows are reduced to.

#pragma once

#include <algorithm>
#include <limits>
#include <memory>

#include "tiles.hpp"

namespace {

// A value of each row of a group.
template <class V, Index count>
struct Column {
    V values[count];

    V& operator[](Index row) { return values[row]; }
    const V& operator[](Index row) const { return values[row]; }
};

// A number per channel or position, as a group of rows sees it.
template <bool constant, Index count>
class Operand {
    const float* places;
    Column<float, count> each;

  public:
    Operand(const float* numbers, Index row) : places(numbers) {
        if constexpr (constant)
            for (Index r = 0; r < count; ++r) each[r] = numbers[row + r];
    }

    template <class V>
    Column<V, count> at(V zero, Index i) const {
        Column<V, count> column;
        if constexpr (!constant) zero = load<V>(places + i);
        for (Index r = 0; r < count; ++r)
            if constexpr (constant) column[r] = each[r] - zero;  // a sum with zero would lose the sign of a negative zero
            else column[r] = zero;
        return column;
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

// By halves, so that few steps wait for the one before, and without a branch, which nobody could foretell for a maximum.
template <class Join>
float joined(Lanes lanes) {
    const auto eight = Join::join(__builtin_shufflevector(lanes, lanes, 0, 1, 2, 3, 4, 5, 6, 7),
                                  __builtin_shufflevector(lanes, lanes, 8, 9, 10, 11, 12, 13, 14, 15));
    const auto four = Join::join(__builtin_shufflevector(eight, eight, 0, 1, 2, 3),
                                 __builtin_shufflevector(eight, eight, 4, 5, 6, 7));
    const auto two = Join::join(four, __builtin_shufflevector(four, four, 2, 3, 0, 1));
    return Join::join(two, __builtin_shufflevector(two, two, 1, 0, 3, 2))[0];
}

// One number for each row, reduced along it, or for each place of a row, reduced across rows.
template <class Join, bool along_rows, Index group>
class Reduction {
    float* out;
    Column<Lanes, group> lanes;
    Column<float, group> rest;

    void restart() {
        for (Index r = 0; r < group; ++r) {
            lanes[r] = Join::start - Lanes{};
            rest[r] = Join::start;
        }
    }

  public:
    Reduction(float* out, const Tile& tile) : out(out) {
        if constexpr (along_rows) restart();
        else std::fill(out + tile.begin, out + tile.end, Join::start);
    }

    template <class V, Index count>
    void take(Index i, const Column<V, count>& column) {
        if constexpr (!along_rows) {
            V all = load<V>(out + i);
            for (Index r = 0; r < count; ++r) all = Join::join(all, column[r]);
            store(out + i, all);
        } else
            for (Index r = 0; r < count; ++r)
                if constexpr (sizeof(V) == sizeof(float)) rest[r] = Join::join(rest[r], column[r]);
                else lanes[r] = Join::join(lanes[r], column[r]);
    }

    void end_rows(Index row, Index count) {
        if constexpr (along_rows) {
            for (Index r = 0; r < count; ++r) out[row + r] = Join::join(rest[r], joined<Join>(lanes[r]));
            restart();
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
    std::unique_ptr<float[]> parts;

  public:
    Parts(Index samples, Index tiles, Results results)
        : samples(samples), tiles(tiles), results(results),
          parts(tiles == 1 ? nullptr : new float[samples * tiles * results.length]) {}

    float* of(Index sample, Index tile) {
        return tiles == 1 ? results.of(sample) : parts.get() + (sample * tiles + tile) * results.length;
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

}  // namespace
