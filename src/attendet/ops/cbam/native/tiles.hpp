// Division of a feature map, interpreted as matrices (see passes.hpp), into tiles and groups of rows.

#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "lanes.hpp"

namespace {

struct Shape {
    Index samples, channels, positions;
};

// Returns the quotient rounded up; 0 for an empty map, whose divisor is 0.
Index ceil_divide(Index number, Index divisor) { return divisor ? (number + divisor - 1) / divisor : 0; }

// Returns the number rounded up to a multiple of the unit.
Index round_up(Index number, Index unit) { return ceil_divide(number, unit) * unit; }

// Limits of the width of tiles.
struct WidthLimits {
    Index min, max;
};

// Division of a map into about 32 tiles in total, if it is large enough: every tile has partial results that have to be
// combined, first along its rows and then between tiles. A tile has at least 16k elements, because every tile is a task
// that has to be started, and consists of whole groups of rows where possible.
struct Tiling {
    Index rows, width, row_step, width_step, row_tiles, width_tiles;

    Tiling(Index samples, Index rows, Index width, WidthLimits limits, Index group) : rows(rows), width(width) {
        // All tiles have about the same width, so that no thread gets a narrow one.
        const Index min_tiles = ceil_divide(width, limits.max), max_tiles = ceil_divide(width, limits.min);
        width_step = round_up(ceil_divide(width, std::clamp(ceil_divide(32, samples), min_tiles, max_tiles)), WIDTH);
        width_tiles = ceil_divide(width, width_step);
        const Index wanted = ceil_divide(32, samples * width_tiles), min_rows = ceil_divide(Index{1} << 14, width_step);
        row_step = round_up(std::max(ceil_divide(rows, wanted), min_rows), group);
        row_tiles = ceil_divide(rows, row_step);
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

// Calls work(count, row) for groups of rows, where count is a compile-time constant.
template <Index group, class Work>
void for_each_group(Index begin, Index end, const Work& work) {
    Index row = begin;
    for (; row + group <= end; row += group) work(std::integral_constant<Index, group>{}, row);
    for (; row < end; ++row) work(std::integral_constant<Index, 1>{}, row);
}

// Makes the system map the pages of memory that is about to be written. Newly allocated memory has no pages, and every page
// causes a fault on first access; mapping all pages at once takes half the time.
void map_pages(void* memory, Index bytes) {
#ifdef MADV_POPULATE_WRITE
    const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE)), begin = reinterpret_cast<uintptr_t>(memory);
    const uintptr_t first = begin / page * page, end = begin + bytes, middle = (begin + bytes / 2) / page * page;
    // Only the middle page is checked, because neighboring memory may share the pages at the ends.
    unsigned char is_resident = 0;
    if (mincore(reinterpret_cast<void*>(middle), page, &is_resident) || is_resident & 1) return;
    // If the system does not support this, pages are mapped on first access.
    madvise(reinterpret_cast<void*>(first), end - first, MADV_POPULATE_WRITE);
#endif
}

}  // namespace
