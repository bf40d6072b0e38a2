// SIMD vectors of sixteen floats, loaded from and stored to float32, bfloat16, and float16.

#pragma once

#include <cstdint>
#include <cstring>

namespace {

using Index = int64_t;
// As many floats as the widest registers hold. The compiler splits the vector for narrower registers.
using Lanes = float __attribute__((vector_size(64)));
using Bits = uint32_t __attribute__((vector_size(64)));
using HalfBits = uint16_t __attribute__((vector_size(32)));
using Halves = _Float16 __attribute__((vector_size(32)));
constexpr Index WIDTH = 16;

struct BFloat16 {
    uint16_t bits;
};

template <class To, class From>
To reinterpret(const From& from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    std::memcpy(&to, &from, sizeof to);
    return to;
}

template <class Value, class Stored>
Value read(const Stored* from) {
    Value value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

// V is Lanes, or float for the remaining elements at the end of a row.
template <class V>
V load(const float* from) {
    return read<V>(from);
}

template <class V>
V load(const _Float16* from) {
    if constexpr (sizeof(V) == sizeof(float)) return *from;
    else return __builtin_convertvector(read<Halves>(from), Lanes);
}

template <class V>
V load(const BFloat16* from) {
    if constexpr (sizeof(V) == sizeof(float)) return reinterpret<float>(uint32_t{from->bits} << 16);
    else return reinterpret<Lanes>(__builtin_convertvector(read<HalfBits>(from), Bits) << 16);
}

template <class V>
void store(float* to, V value) {
    std::memcpy(to, &value, sizeof value);
}

template <class V>
void store(_Float16* to, V value) {
    if constexpr (sizeof(V) == sizeof(float)) *to = value;
    else {
        const Halves halves = __builtin_convertvector(value, Halves);
        std::memcpy(to, &halves, sizeof halves);
    }
}

template <class V>
void store(BFloat16* to, V value) {
    // Rounds to nearest, ties to even. NaN is a special case, because rounding its bits could give infinity.
    if constexpr (sizeof(V) == sizeof(float)) {
        const uint32_t bits = reinterpret<uint32_t>(value);
        to->bits = value == value ? (bits + 0x7fff + ((bits >> 16) & 1)) >> 16 : 0x7fc0;
    } else {
        const Bits bits = reinterpret<Bits>(value);
        const Bits rounded = value == value ? (bits + 0x7fff + ((bits >> 16) & 1)) >> 16 : Bits{} + 0x7fc0;
        const HalfBits halves = __builtin_convertvector(rounded, HalfBits);
        std::memcpy(to, &halves, sizeof halves);
    }
}

template <class V>
V larger(V a, V b) {
    // If b is NaN, the result is NaN, as in torch.
    return (b > a) | (b != b) ? b : a;
}

template <>
float larger(float a, float b) {
    return b > a || b != b ? b : a;
}

// Calls step(zero, i) for the elements of a row, where the type of zero is the type to compute in: Lanes, and float for
// the remaining elements.
template <class Step>
inline __attribute__((always_inline)) void along(Index begin, Index end, const Step& step) {
    Index i = begin;
    for (; i + WIDTH <= end; i += WIDTH) step(Lanes{}, i);
    for (; i < end; ++i) step(0.0f, i);
}

}  // namespace
