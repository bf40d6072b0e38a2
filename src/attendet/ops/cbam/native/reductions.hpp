// Operands and reductions for groups of rows: numbers per channel or position, and sums and maxima of rows.

#pragma once

#include <algorithm>
#include <limits>
#include <memory>

#include "tiles.hpp"

namespace {

// One value for each row of a group.
template <class V, Index count>
struct Column {
    V values[count];

    V& operator[](Index row) { return values[row]; }
    const V& operator[](Index row) const { return values[row]; }
};

// Numbers per channel or per position as operands of a group of rows: constant within each row, or different at each element
// of a row but the same for all rows.
template <bool constant, Index count>
class Operand {
    const float* elements;
    Column<float, count> row_values;

  public:
    Operand(const float* numbers, Index row) : elements(numbers) {
        if constexpr (constant)
            for (Index r = 0; r < count; ++r) row_values[r] = numbers[row + r];
    }

    template <class V>
    Column<V, count> at(V zero, Index i) const {
        Column<V, count> column;
        if constexpr (!constant) zero = load<V>(elements + i);
        for (Index r = 0; r < count; ++r)
            if constexpr (constant) column[r] = row_values[r] - zero;  // adding zero would lose the sign of a negative zero
            else column[r] = zero;
        return column;
    }
};

struct Add {
    static constexpr float start = 0;
    template <class V>
    static V combine(V a, V b) {
        return a + b;
    }
};

struct Max {
    static constexpr float start = -std::numeric_limits<float>::infinity();
    template <class V>
    static V combine(V a, V b) {
        return larger(a, b);
    }
};

// Combines the lanes in halves: few steps depend on each other, and there are no branches, which would be unpredictable for
// a maximum.
template <class Operation>
float combine_lanes(Lanes lanes) {
    const auto eight = Operation::combine(__builtin_shufflevector(lanes, lanes, 0, 1, 2, 3, 4, 5, 6, 7),
                                          __builtin_shufflevector(lanes, lanes, 8, 9, 10, 11, 12, 13, 14, 15));
    const auto four = Operation::combine(__builtin_shufflevector(eight, eight, 0, 1, 2, 3),
                                         __builtin_shufflevector(eight, eight, 4, 5, 6, 7));
    const auto two = Operation::combine(four, __builtin_shufflevector(four, four, 2, 3, 0, 1));
    return Operation::combine(two, __builtin_shufflevector(two, two, 1, 0, 3, 2))[0];
}

// Reduction along rows to one number per row, or across rows to one number per element of a row.
template <class Operation, bool along_rows, Index group>
class Reduction {
    float* out;
    Column<Lanes, group> lanes;
    Column<float, group> remainder;

    void restart() {
        for (Index r = 0; r < group; ++r) {
            lanes[r] = Operation::start - Lanes{};
            remainder[r] = Operation::start;
        }
    }

  public:
    Reduction(float* out, const Tile& tile) : out(out) {
        if constexpr (along_rows) restart();
        else std::fill(out + tile.begin, out + tile.end, Operation::start);
    }

    template <class V, Index count>
    void add(Index i, const Column<V, count>& column) {
        if constexpr (!along_rows) {
            V all = load<V>(out + i);
            for (Index r = 0; r < count; ++r) all = Operation::combine(all, column[r]);
            store(out + i, all);
        } else
            for (Index r = 0; r < count; ++r)
                if constexpr (sizeof(V) == sizeof(float)) remainder[r] = Operation::combine(remainder[r], column[r]);
                else lanes[r] = Operation::combine(lanes[r], column[r]);
    }

    void finish_rows(Index row, Index count) {
        if constexpr (along_rows) {
            for (Index r = 0; r < count; ++r)
                out[row + r] = Operation::combine(remainder[r], combine_lanes<Operation>(lanes[r]));
            restart();
        }
    }
};

// Memory of the results of all samples: `length` numbers per sample, `pitch` numbers apart.
struct Results {
    float* first;
    Index length, pitch;

    float* at(Index sample) const { return first + sample * pitch; }
};

// Partial results of tiles, which are combined in the order of the tiles.
class PartialResults {
    Index samples, tiles;
    Results results;
    std::unique_ptr<float[]> parts;

  public:
    PartialResults(Index samples, Index tiles, Results results)
        : samples(samples), tiles(tiles), results(results),
          parts(tiles == 1 ? nullptr : new float[samples * tiles * results.length]) {}

    float* at(Index sample, Index tile) {
        return tiles == 1 ? results.at(sample) : parts.get() + (sample * tiles + tile) * results.length;
    }

    template <class Operation>
    void combine() {
        if (tiles == 1) return;
        for (Index sample = 0; sample < samples; ++sample) {
            float* to = results.at(sample);
            std::fill(to, to + results.length, Operation::start);
            for (Index tile = 0; tile < tiles; ++tile) {
                const float* part = at(sample, tile);
                along(0, results.length, [&](auto zero, Index i) {
                    using V = decltype(zero);
                    store(to + i, Operation::combine(load<V>(to + i), load<V>(part + i)));
                });
            }
        }
    }
};

}  // namespace
