// Vectors of L floats, and the two functions that gates are made of.
//
// GCC's and Clang's vector extensions: `a * b + c` on two vectors works lane by lane on every processor, so one source
// serves all of them. Intrinsics are for what the extensions cannot say, and stand in this file and tile.h alone.
#pragma once

#include <cstdint>
#include <cstring>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))
#define INLINE_MEMBER inline __attribute__((always_inline))

namespace {  // every instruction set has its own copy of everything: none may be shared by the linker

#if defined(__AVX512F__)
constexpr int L = 16;
#elif defined(__AVX2__)
constexpr int L = 8;
#else
constexpr int L = 4;
#endif

using Vector = float __attribute__((vector_size(4 * L)));
using Ints = int32_t __attribute__((vector_size(4 * L)));
using Words = uint32_t __attribute__((vector_size(4 * L)));
using Halves = uint16_t __attribute__((vector_size(2 * L)));

// The same, at addresses that need not be multiples of the vector's size and may hold another type.
using AnyVector = float __attribute__((vector_size(4 * L), aligned(4), may_alias));
using AnyHalves = uint16_t __attribute__((vector_size(2 * L), aligned(2), may_alias));

struct bfloat16 {  // the upper half of a float
  uint16_t bits;
};

INLINE Vector fill(float value) { return value - Vector{}; }
INLINE Vector select(Ints which, Vector yes, Vector no) { return which ? yes : no; }

INLINE float widen(float x) { return x; }
INLINE float widen(bfloat16 x) {
  const uint32_t bits = uint32_t(x.bits) << 16;
  float wide;
  memcpy(&wide, &bits, 4);
  return wide;
}

INLINE Vector load(const float *from) { return *reinterpret_cast<const AnyVector *>(from); }
INLINE Vector load(const bfloat16 *from) {
  const Halves halves = *reinterpret_cast<const AnyHalves *>(from);
  return reinterpret_cast<Vector>(__builtin_convertvector(halves, Words) << 16);
}

// To the nearest bfloat16, ties to even; a NaN stays one.
INLINE Halves narrow(Vector x) {
#if defined(__AVX512BF16__)
  return reinterpret_cast<Halves>(_mm512_cvtneps_pbh(reinterpret_cast<__m512>(x)));
#else
  const Words bits = reinterpret_cast<Words>(x);
  const Words rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const Words quiet = (bits >> 16) | 0x40;
  return __builtin_convertvector(x == x ? rounded : quiet, Halves);
#endif
}

// As the dtype holds it.
template <class S>
INLINE Vector rounded(Vector x) {
  if constexpr (sizeof(S) == sizeof(float)) return x;
  return reinterpret_cast<Vector>(__builtin_convertvector(narrow(x), Words) << 16);
}

// One value, from a dtype to one that holds it.
template <class To, class From>
INLINE To as(From x) {
  if constexpr (sizeof(To) == sizeof(From)) return x;
  else return widen(x);
}

INLINE void store(float *to, Vector x) { *reinterpret_cast<AnyVector *>(to) = x; }
INLINE void store(bfloat16 *to, Vector x) { *reinterpret_cast<AnyHalves *>(to) = narrow(x); }

// The first `count` lanes only: the end of a row whose size is no multiple of L. The other lanes are zero.
template <class T>
INLINE Vector load(const T *from, long count) {
  if (count >= L) return load(from);
  T lanes[L] = {};
  for (long l = 0; l < count; ++l) lanes[l] = from[l];
  return load(lanes);
}
template <class T>
INLINE void store(T *to, Vector x, long count) {
  if (count >= L) return store(to, x);
  T lanes[L];
  store(lanes, x);
  for (long l = 0; l < count; ++l) to[l] = lanes[l];
}

// All ones in the first `count` lanes.
INLINE Ints first_lanes(long count) {
  Ints lane;
  for (int l = 0; l < L; ++l) lane[l] = l;
  return lane < int32_t(count < L ? count : L);
}
INLINE Vector keep_lanes(Vector x, long count) {
  return count >= L ? x : reinterpret_cast<Vector>(reinterpret_cast<Ints>(x) & first_lanes(count));
}

// Past the caches, to an address that is a multiple of the vector's size: for what will not be read soon.
INLINE void stream(float *to, Vector x) {
#if defined(__AVX512F__)
  _mm512_stream_ps(to, (__m512)x);
#elif defined(__AVX2__)
  _mm256_stream_ps(to, (__m256)x);
#elif defined(__x86_64__)
  _mm_stream_ps(to, (__m128)x);
#else
  store(to, x);
#endif
}

INLINE void add(float *to, Vector x) { store(to, load(to) + x); }

// Rows become columns. By way of memory: a line at a time on both sides, which is what counts.
INLINE void transpose(Vector (&x)[L]) {
  float rows[L][L], columns[L][L];
  for (int i = 0; i < L; ++i) store(rows[i], x[i]);
  for (int i = 0; i < L; ++i)
    for (int j = 0; j < L; ++j) columns[j][i] = rows[i][j];
  for (int i = 0; i < L; ++i) x[i] = load(columns[i]);
}

INLINE float sum(Vector x) {
#if defined(__AVX512F__)
  return _mm512_reduce_add_ps((__m512)x);
#endif
  float lanes[L];
  store(lanes, x);
  for (int half = L / 2; half > 0; half /= 2)
    for (int l = 0; l < half; ++l) lanes[l] += lanes[l + half];
  return lanes[0];
}

// x within +-limit; NaN stays NaN, for which the order of the operands matters.
INLINE Vector clamp(Vector x, float limit) {
#if defined(__AVX512F__)
  return (Vector)_mm512_max_ps(_mm512_set1_ps(-limit), _mm512_min_ps(_mm512_set1_ps(limit), (__m512)x));
#elif defined(__AVX2__)
  return (Vector)_mm256_max_ps(_mm256_set1_ps(-limit), _mm256_min_ps(_mm256_set1_ps(limit), (__m256)x));
#elif defined(__x86_64__)
  return (Vector)_mm_max_ps(_mm_set1_ps(-limit), _mm_min_ps(_mm_set1_ps(limit), (__m128)x));
#else
  x = fill(limit) < x ? fill(limit) : x;
  return fill(-limit) > x ? fill(-limit) : x;
#endif
}

// e^(scale * x) as `whole` = 2^n and `part` = 2^f - 1, where scale * x = (n + f) ln 2, |f| <= 1/2. Beyond what a float
// can hold, as at its limits; NaN for NaN.
struct Power {
  Vector whole, part;
};
INLINE Power exponential(Vector x, float scale) {
  const float log2_e = 1.44269504f, rest = 1.92596299e-8f;  // their sum has twice a float's digits
  const float limit = 126 / (log2_e * (scale < 0 ? -scale : scale));
  x = clamp(x, limit);
  const Vector magic = fill(12582912.f);  // 1.5 * 2^23: adding it rounds to an integer, which is then in the low bits
  const Vector shifted = x * (scale * log2_e) + magic;
  const Vector f = (x * (scale * log2_e) - (shifted - magic)) + x * (scale * rest);
  const Ints n = reinterpret_cast<Ints>(shifted) - reinterpret_cast<Ints>(magic);
  // (2^f - 1) / f by Remez, 2e-8 off at most.
  Vector p = fill(1.5403512e-4f);
  p = p * f + 1.3390735e-3f;
  p = p * f + 9.618238e-3f;
  p = p * f + 5.5503573e-2f;
  p = p * f + 2.4022649e-1f;
  p = p * f + 6.931472e-1f;
  return {reinterpret_cast<Vector>((n + 127) << 23), p * f};
}

INLINE Vector sigmoid(Vector x) {
  const Power e = exponential(x, -1.f);
  return 1.f / (1.f + (e.whole + e.whole * e.part));
}

// For small x by e^2x - 1, whose every digit counts; for large ones as one less what is missing, whose digits do not.
INLINE Vector tanh(Vector x) {
  const Ints sign = reinterpret_cast<Ints>(x) & INT32_MIN;
  const Vector size = reinterpret_cast<Vector>(reinterpret_cast<Ints>(x) ^ sign);
  const Power e = exponential(size, 2.f);
  const Vector less_one = e.whole * e.part + (e.whole - 1.f);
  const Ints small = size < 0.55f;
  const Vector ratio = (small ? less_one : fill(2.f)) / (less_one + 2.f);
  const Vector result = small ? ratio : 1.f - ratio;
  return reinterpret_cast<Vector>(reinterpret_cast<Ints>(result) | sign);
}

// Writes by stream are seen by other threads after this.
INLINE void finish_streams() {
#if defined(__x86_64__)
  _mm_sfence();
#endif
}

// While another thread is at work.
INLINE void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace
