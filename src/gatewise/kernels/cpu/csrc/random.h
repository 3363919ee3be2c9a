// Random bits as a pure function of a seed and a position, so that none need be kept: Threefry-4x32 of Salmon, Moraes,
// Dror & Shaw 2011, Parallel random numbers: as easy as 1, 2, 3. Only additions, rotations and xor, which every
// processor has for vectors. Its authors know of no statistical flaw from 12 rounds on; their default of 20, a margin
// for every use, would cost dropout a quarter to a half more.
#pragma once

#include "simd.h"

namespace {

constexpr int kRounds = 13;

INLINE Words rotate(Words x, int by) { return (x << by) | (x >> (32 - by)); }

// A generator for each seed. `at` gives L times four words: lane l those of counter (first + l, b, c, 0).
class Random {
 public:
  explicit Random(uint64_t seed) : key_{uint32_t(seed), uint32_t(seed >> 32), 0, 0, 0} {
    key_[4] = 0x1BD11BDA ^ key_[0] ^ key_[1];
  }

  INLINE_MEMBER void at(uint32_t first, uint32_t b, uint32_t c, Words (&x)[4]) const {
    constexpr int rotation[8][2] = {{10, 26}, {11, 21}, {13, 27}, {23, 5}, {6, 20}, {17, 11}, {25, 10}, {18, 20}};
    Words lane;
    for (int l = 0; l < L; ++l) lane[l] = l;
    x[0] = lane + (first + key_[0]);
    x[1] = Words{} + (b + key_[1]);
    x[2] = Words{} + (c + key_[2]);
    x[3] = Words{} + key_[3];
#pragma GCC unroll 20
    for (int round = 0; round < kRounds; ++round) {
      const int u = round % 2 == 0 ? 1 : 3, v = 4 - u;  // the partners of words 0 and 2
      x[0] += x[u];
      x[u] = rotate(x[u], rotation[round % 8][0]) ^ x[0];
      x[2] += x[v];
      x[v] = rotate(x[v], rotation[round % 8][1]) ^ x[2];
      if (round % 4 == 3) {
        const int turn = round / 4 + 1;
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) x[i] += key_[(turn + i) % 5];
        x[3] += uint32_t(turn);
      }
    }
  }

 private:
  uint32_t key_[5];
};

// Dropout: the factor of each of kPanel consecutive values, 0 or `kept`. Counter c of a panel has the values c, c + 16,
// c + 32, ..., one for each half of its four words: the same for every L.
constexpr int kPanel = 128;
constexpr int kCounters = 16;               // of a panel
constexpr int kStrip = kPanel / kCounters;  // vectors that L counters serve

class Dropout {
 public:
  // Of 65536 values, `dropped` become zero; the others grow so that the mean stays.
  Dropout(uint32_t dropped, const int64_t *seed)
      : random_(seed == nullptr ? 0 : uint64_t(*seed)),
        dropped_(dropped),
        kept_(65536.f / (65536.f - float(dropped))) {}

  bool acts() const { return dropped_ != 0; }

  // Of the values first, first + 16, ... of row (t, b), a vector each; `first` begins a strip.
  INLINE_MEMBER void factors(long first, long t, long b, Vector (&factor)[kStrip]) const {
    Words x[4];
    random_.at(uint32_t(first / kPanel * kCounters + first % kPanel), uint32_t(b), uint32_t(t), x);
#pragma GCC unroll 4
    for (int w = 0; w < 4; ++w) {
      const Words low = x[w] & 0xffff, high = x[w] >> 16;
      factor[2 * w] = select(reinterpret_cast<Ints>(low >= dropped_), fill(kept_), Vector{});
      factor[2 * w + 1] = select(reinterpret_cast<Ints>(high >= dropped_), fill(kept_), Vector{});
    }
  }

 private:
  Random random_;
  uint32_t dropped_;
  float kept_;
};

}  // namespace
