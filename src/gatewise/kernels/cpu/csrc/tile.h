// The matrix product that everything here is made of, and how its right-hand side is laid out.
//
// A product reads *words* of four bytes: one float, or a pair of bfloat16 that lie next to each other along the summed
// dimension. Where the text says word, both are meant, and one routine serves both.
#pragma once

#include "simd.h"

namespace {

struct Floats {  // a word is one float
  using Element = float;
  static constexpr int pair = 1;
  INLINE Vector multiply_add(Vector total, float word, Vector words) { return total + word * words; }
};

#if defined(__AVX512BF16__)
struct Pairs {  // a word is two bfloat16
  using Element = bfloat16;
  static constexpr int pair = 2;
  INLINE Vector multiply_add(Vector total, float word, Vector words) {
    const auto both = reinterpret_cast<__m512bh>(_mm512_set1_ps(word));
    return reinterpret_cast<Vector>(
        _mm512_dpbf16_ps(reinterpret_cast<__m512>(total), both, reinterpret_cast<__m512bh>(words)));
  }
};
#endif

// A tile is up to kTileRows rows by up to kTileVectors vectors, so that it stays in the registers: 24 of AVX-512's 32,
// 12 of the 16 of AVX2.
constexpr int kTileVectors = 4;
#if defined(__AVX512F__)
constexpr int kTileRows = 6;
constexpr int kChains = 16;
#else
constexpr int kTileRows = 3;
constexpr int kChains = 8;
#endif

constexpr long kShortSum = 128;
using Tile = Vector[kTileRows * kTileVectors];

INLINE long blocks(long lanes) { return (lanes + L - 1) / L; }
template <class Product>
INLINE long words(long elements) {
  return (elements + Product::pair - 1) / Product::pair;
}

// total[m][v] += sum over s < steps of left[m * left_row + s * left_step] * right[s * right_step + v * L + lane]
template <class Product, int M, int V>
__attribute__((noinline)) void multiply_tile(Vector *total, const float *left, long left_row, long left_step,
                                             const float *right, long right_step, long steps) {
  // A sum waits for the one before it: a small tile sums in several chains side by side.
  constexpr int chains = M * V * 2 > kChains ? 1 : M * V * 4 > kChains ? 2 : 4;
  Vector part[chains][M][V];
#pragma GCC unroll 4
  for (int c = 0; c < chains; ++c)
#pragma GCC unroll 6
    for (int m = 0; m < M; ++m)
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) part[c][m][v] = c == 0 ? total[m * V + v] : Vector{};
  const long rounds = steps / chains;
  for (long round = 0; round < rounds; ++round) {
#pragma GCC unroll 4
    for (int c = 0; c < chains; ++c) {
#if defined(__AVX512F__)
      Vector r[V];
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) r[v] = load(right + v * L);
#pragma GCC unroll 6
      for (int m = 0; m < M; ++m) {
        const float l = left[m * left_row];
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) part[c][m][v] = Product::multiply_add(part[c][m][v], l, r[v]);
      }
#else  // with 16 registers, hold the rows and not the vectors: worth a factor of 1.8
      Vector l[M];
#pragma GCC unroll 6
      for (int m = 0; m < M; ++m) l[m] = fill(left[m * left_row]);
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        const Vector r = load(right + v * L);
#pragma GCC unroll 6
        for (int m = 0; m < M; ++m) part[c][m][v] += l[m] * r;
      }
#endif
      left += left_step;
      right += right_step;
    }
  }
  for (long s = rounds * chains; s < steps; ++s, left += left_step, right += right_step)
    for (int m = 0; m < M; ++m)
      for (int v = 0; v < V; ++v)
        part[0][m][v] = Product::multiply_add(part[0][m][v], left[m * left_row], load(right + v * L));
#pragma GCC unroll 6
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
#pragma GCC unroll 4
      for (int c = 1; c < chains; ++c) part[0][m][v] += part[c][m][v];
      total[m * V + v] = part[0][m][v];
    }
}

template <class Product, int M>
constexpr decltype(&multiply_tile<Product, 1, 1>) kTilesOf[kTileVectors] = {
    multiply_tile<Product, M, 1>, multiply_tile<Product, M, 2>, multiply_tile<Product, M, 3>,
    multiply_tile<Product, M, 4>};

// The same for a tile of any size that fits; total is [rows][vectors].
template <class Product>
INLINE void multiply(long rows, long vectors, Vector *total, const float *left, long left_row, long left_step,
                     const float *right, long right_step, long steps) {
  constexpr const decltype(&multiply_tile<Product, 1, 1>) *tiles[] = {
      kTilesOf<Product, 1>, kTilesOf<Product, 2>, kTilesOf<Product, 3>,
#if defined(__AVX512F__)
      kTilesOf<Product, 4>, kTilesOf<Product, 5>, kTilesOf<Product, 6>,
#endif
  };
  const auto tile = tiles[rows - 1][vectors - 1];
  if (steps <= kShortSum) return tile(total, left, left_row, left_step, right, right_step, steps);
  // A long sum is one of several short ones, which loses fewer digits.
  for (long s = 0; s < steps; s += kShortSum) {
    Tile part = {};
    tile(part, left + s * left_step, left_row, left_step, right + s * right_step, right_step,
         steps - s < kShortSum ? steps - s : kShortSum);
    for (long i = 0; i < rows * vectors; ++i) total[i] += part[i];
  }
}

// Calls f(first, count) for tiles that cover rows 0..rows-1, all of about one height.
template <class F>
INLINE void for_row_tiles(long rows, const F &f) {
  const long tiles = (rows + kTileRows - 1) / kTileRows;
  for (long tile = 0, first = 0, height; tile < tiles; ++tile, first += height) {
    height = (rows - first) / (tiles - tile);
    f(first, height);
  }
}

// Calls f(first, count) for groups that cover vectors 0..vectors-1.
template <class F>
INLINE void for_vector_groups(long vectors, const F &f) {
  for (long first = 0; first < vectors; first += kTileVectors)
    f(first, vectors - first < kTileVectors ? vectors - first : kTileVectors);
}

// left [rows, steps words] times pack_columns' matrix, to sink(row, vector, sum). Before each product, `before` hears
// of the rows and vectors that it is for.
template <class Product, class Sink, class Before>
INLINE void multiply_rows(long rows, const float *left, long left_row, const float *packed, long steps, long vectors,
                          const Sink &sink, const Before &before) {
  for_vector_groups(vectors, [&](long v0, long count) {
    const float *right = packed + v0 * L * steps;
    for_row_tiles(rows, [&](long first, long height) {
      before(first, height, v0, count);
      Tile total = {};
      multiply<Product>(height, count, total, left + first * left_row, left_row, 1, right, count * L, steps);
      for (long m = 0; m < height; ++m)
        for (long v = 0; v < count; ++v) sink(first + m, v0 + v, total[m * count + v]);
    });
  });
}

template <class Product, class Sink>
INLINE void multiply_rows(long rows, const float *left, long left_row, const float *packed, long steps, long vectors,
                          const Sink &sink) {
  multiply_rows<Product>(rows, left, left_row, packed, steps, vectors, sink, [](long, long, long, long) {});
}

// L words of one row, of which there are `count` more elements; zeros behind them.
template <class Product, class S>
INLINE Vector load_words(const S *row, long count) {
  if constexpr (Product::pair == 1) {
    return load(row, count);
  } else {
    Vector words = {};
    memcpy(&words, row, 2 * (count < 2 * L ? count : 2 * L));
    return words;
  }
}

// Two rows as words: element n of both side by side, or of `upper` alone.
template <class Product, class S>
INLINE Vector pack_words(const S *upper, const S *lower, long count) {
  if constexpr (Product::pair == 1) {
    return upper == nullptr ? Vector{} : load(upper, count);
  } else {
    const auto bits = [&](const S *row) {
      return row == nullptr ? Words{} : reinterpret_cast<Words>(load(row, count)) >> 16;
    };
    return reinterpret_cast<Vector>(bits(upper) | bits(lower) << 16);
  }
}

// The right-hand side of a product over `rows` rows of `columns`: row_at(k) points to row k, or is NULL for zeros.
// Layout: for each group of V <= 4 vectors of columns, [words of k][V][L].
template <class Product, class RowAt>
INLINE void pack_columns(long rows, long columns, const RowAt &row_at, float *packed) {
  for_vector_groups(blocks(columns), [&](long v0, long count) {
    for (long k = 0; k < rows; k += Product::pair) {
      const auto *upper = row_at(k);
      const auto *lower = Product::pair == 2 && k + 1 < rows ? row_at(k + 1) : nullptr;
      for (long v = 0; v < count; ++v, packed += L) {
        const long n = (v0 + v) * L;
        store(packed, pack_words<Product>(upper == nullptr ? nullptr : upper + n,
                                          lower == nullptr ? nullptr : lower + n, columns - n));
      }
    }
  });
}

// Interleaves rows 2r and 2r+1 into words, so that a product can sum over rows. For single floats there is nothing to
// do, and the matrix itself is returned.
template <class Product>
INLINE const float *pair_rows(const typename Product::Element *matrix, long rows, long stride, float *paired) {
  if constexpr (Product::pair == 1) {
    return matrix;
  } else {
    for (long r = 0; r < rows; r += 2)
      for (long n = 0; n < stride; n += L) {
        const bfloat16 *upper = matrix + r * stride + n;
        store(paired + r / 2 * stride + n, pack_words<Product>(upper, r + 1 < rows ? upper + stride : nullptr, L));
      }
    return paired;
  }
}

}  // namespace
