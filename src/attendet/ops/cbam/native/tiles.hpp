// How a feature map, seen as matrices (passes.hpp), is cut into tiles, and its tiles into groups of rows.

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

// Of a map with nothing in it there are no parts.
Index parts_of(Index whole, Index part) { return part ? (whole + part - 1) / part : 0; }

// The least multiple of a unit that is no smaller.
Index filled_up(Index number, Index unit) { return parts_of(number, unit) * unit; }

// How wide tiles may be.
struct Widths {
    Index least, most;
};

// How the map is cut: into some 32 tiles where there is enough of it, for each has parts to be joined, first along its rows
// and then between them, into no fewer than 16k numbers each, for each is a task to be begun. A tile has whole groups of
// rows, where there are enough.
struct Tiling {
    Index rows, width, row_step, width_step, row_tiles, width_tiles;

    Tiling(Index samples, Index rows, Index width, Widths widths, Index group) : rows(rows), width(width) {
        // Of equal widths, so that no thread is left with a narrow one.
        const Index fewest = parts_of(width, widths.most), most = parts_of(width, widths.least);
        width_step = filled_up(parts_of(width, std::clamp(parts_of(32, samples), fewest, most)), WIDTH);
        width_tiles = parts_of(width, width_step);
        const Index wanted = parts_of(32, samples * width_tiles), smallest = parts_of(Index{1} << 14, width_step);
        row_step = filled_up(std::max(parts_of(rows, wanted), smallest), group);
        row_tiles = parts_of(rows, row_step);
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

// Calls work(count, row) for groups of rows, with a count that the compiler knows.
template <Index group, class Work>
void for_each_group(Index begin, Index end, const Work& work) {
    Index row = begin;
    for (; row + group <= end; row += group) work(std::integral_constant<Index, group>{}, row);
    for (; row < end; ++row) work(std::integral_constant<Index, 1>{}, row);
}

// Has the system give pages to memory that is about to be written. What is fresh from the system has none, and each costs a
// fault when it is first touched; all at once they take half as long.
void have_pages(void* memory, Index bytes) {
#ifdef MADV_POPULATE_WRITE
    const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE)), begin = reinterpret_cast<uintptr_t>(memory);
    const uintptr_t first = begin / page * page, end = begin + bytes, middle = (begin + bytes / 2) / page * page;
    // Pages at the ends may be there because of what lies beside.
    unsigned char there = 0;
    if (mincore(reinterpret_cast<void*>(middle), page, &there) || there & 1) return;
    // A system that cannot leaves it to the first touch.
    madvise(reinterpret_cast<void*>(first), end - first, MADV_POPULATE_WRITE);
#endif
}

}  // namespace
