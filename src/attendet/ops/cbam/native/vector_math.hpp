// Exponential and sigmoid of SIMD vectors, and sums and products of arrays of floats.

#pragma once

#include <cmath>
#include <vector>

#include "passes.hpp"

namespace {

using Buffer = std::vector<float>;

// Returns e to the power of `exponent` as 2^n times a polynomial on [-ln(2)/2, ln(2)/2], accurate to about the last bit.
Lanes exponential(Lanes exponent) {
    Lanes v = exponent > 88.0f ? 88.0f - Lanes{} : exponent;
    v = v < -87.0f ? -87.0f - Lanes{} : v;
    // Adding and subtracting 1.5·2^23 rounds to an integer, which is stored in the low bits.
    const Lanes shifted = v * 1.44269504f + 12582912.0f, n = shifted - 12582912.0f;
    const Lanes r = (v - n * 0.693359375f) + n * 2.12194440e-4f;
    Lanes sum = 1 / 5040.0f - Lanes{};
    for (const float inverse : {1 / 720.0f, 1 / 120.0f, 1 / 24.0f, 1 / 6.0f, 0.5f, 1.0f, 1.0f}) sum = sum * r + inverse;
    const Lanes power = reinterpret<Lanes>(reinterpret<Bits>(sum) + (reinterpret<Bits>(shifted) << 23));
    // The bit operations above may turn NaN into a number.
    const Lanes result = exponent == exponent ? power : exponent;
    // The sigmoid of larger exponents is zero in float32, as in torch.
    return exponent > 88.0f ? INFINITY - Lanes{} : result;
}

float exponential(float v) { return exponential(v - Lanes{})[0]; }

template <class V>
V sigmoid(V v) {
    return 1 / (1 + exponential(-v));
}

// Returns the sigmoid scaled to a range (low, high).
template <class V>
V scaled_sigmoid(V logits, const float* range) {
    return range[0] + (range[1] - range[0]) * sigmoid(logits);
}

// Returns the derivative of scaled_sigmoid.
template <class V>
V scaled_sigmoid_derivative(V logits, const float* range) {
    const V s = sigmoid(logits);
    return (range[1] - range[0]) * s * (1 - s);
}

// Returns the sum of term(zero, i) for all i below length.
template <class Term>
float sum_of(Index length, const Term& term) {
    Lanes lanes{};
    float sum = 0;
    along(0, length, [&](auto zero, Index i) {
        if constexpr (sizeof zero == sizeof(float)) sum += term(zero, i);
        else lanes += term(zero, i);
    });
    return sum + combine_lanes<Add>(lanes);
}

float dot(const float* a, const float* b, Index length) {
    return sum_of(length, [&](auto zero, Index i) {
        return load<decltype(zero)>(a + i) * load<decltype(zero)>(b + i);
    });
}

// to += factor·from
void add_scaled(float* to, float factor, const float* from, Index length) {
    along(0, length, [&](auto zero, Index i) {
        using V = decltype(zero);
        store(to + i, load<V>(to + i) + factor * load<V>(from + i));
    });
}

}  // namespace
