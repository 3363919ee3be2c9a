// One call, made ready: sizes, the order of rows, weights laid out for the products.
#pragma once

#include "api.h"
#include "parallel.h"
#include "tile.h"
#include "workspace.h"

namespace {

constexpr int kGates = 4;  // i f g o; a gate without weights has zeros in its place
enum Gate { I_GATE, F_GATE, G_GATE, O_GATE };

// Two cells of memory that lie a power of two apart share a place in the cache; an odd number of lines avoids that.
INLINE long padded(long floats) {
  const long lines = (floats + 15) / 16;
  return 16 * (lines | 1);
}

// How the work is cut: by sizes alone, never by the number of threads, on which the results must not depend.
constexpr long kGroupRows = 16;  // rows of a task, at most: two or three tiles, whose state stays in the nearest cache
constexpr long kNearBytes = 700000;   // of a direction's weights, which the second cache still holds
constexpr long kSumFloats = 8 << 20;  // of all groups' gradients of the weights, in each direction
constexpr long kChunkRows = 384;      // rows times steps of a chunk: what they need stays in the second cache

// Sizes that follow from a call, the same for all its tasks.
template <class S, class Product_>
struct Sizes {
  using Storage = S;
  using Product = Product_;
  using Element = typename Product::Element;

  explicit Sizes(const gatewise_layer &call)
      : T(call.T),
        B(call.B),
        I(call.I),
        H(call.H),
        P(call.P),
        D(call.D),
        blocks_h(blocks(H)),
        blocks_p(blocks(P)),
        blocks_i(blocks(I)),
        gates(call.forget == GATEWISE_FORGET_GATE ? 4 : 3),
        zoneout_h(call.keep_h != nullptr || call.keep_h_mean != 1),
        zoneout_c(call.keep_c != nullptr || call.keep_c_mean != 1),
        norm(call.norm),
        project(call.project),
        peephole(call.weights[0].weight_peephole != nullptr),
        planes(5 + zoneout_c + (norm ? 2 * kGates : 0)) {
    // Weights that come from afar in every step should serve more rows.
    const long rows = weight_bytes() > kNearBytes ? 2 * kGroupRows : kGroupRows;
    groups = (B + rows - 1) / rows;
    if (D == 1 && groups == 1 && B >= 4) groups = 2;        // one direction has work for two threads all the same
    const long most = kSumFloats / (kGates * H * (I + P));  // each has sums of its own
    if (groups > most && groups > 2) groups = most > 2 ? most : 2;
    const long in_group = B ? (B + groups - 1) / groups : 1;
    const long steps = kChunkRows / in_group > 1 ? kChunkRows / in_group : 1;
    chunk = steps < T ? steps : T;
    chunks = T ? (T + chunk - 1) / chunk : 0;
  }

  long T, B, I, H, P, D;
  long blocks_h, blocks_p, blocks_i;
  long gates;
  bool zoneout_h, zoneout_c, norm, project, peephole;
  long planes;         // of the tape: i f g o c*, then c if zoneout may have kept it, then r and x normalised
  long groups;         // of rows
  long chunk, chunks;  // steps that are computed while their memory stays in the cache

  long weight_bytes() const { return kGates * H * (I + P) * long(sizeof(Element)); }

  // Where gate g stands in the parameters; -1: nowhere.
  long place(int gate) const { return gates == 4 || gate == I_GATE ? gate : gate == F_GATE ? -1 : gate - 1; }
  // Where its peepholes stand in their [G-1, H], in the order i f o; -1: it does not look at the cell.
  long peephole_place(int gate) const {
    if (gate == G_GATE || place(gate) < 0) return -1;
    return gate == O_GATE ? gates - 2 : place(gate);
  }

  long lanes_h(long j) const { return H - j * L < L ? H - j * L : L; }
  long lanes_p(long j) const { return P - j * L < L ? P - j * L : L; }

  // The tape: [D, T, blocks_h, B, planes, L] floats, then, with layer norm, [D, T, B, 2]: 1 / deviation of r and of x.
  long tape_at(long d, long t, long j, long row) const { return (((d * T + t) * blocks_h + j) * B + row) * planes * L; }
  long tape_scales_at(long d, long t, long row) const {
    return D * T * blocks_h * B * planes * L + ((d * T + t) * B + row) * 2;
  }
  // A trace: [5, D, T, B, blocks_h * L]; one plane begins where the directions of the one before end.
  long trace_at(long d, long t) const { return (d * T + t) * B * blocks_h * L; }
  long tape_size() const { return D * T * B * (blocks_h * planes * L + (norm ? 2 : 0)); }
};

// The rows of one task, longest first: those that are alive at a step are the first ones.
struct Rows {
  long count;
  const int32_t *at;      // which row of the batch
  const int32_t *length;  // of each
  const int32_t *alive;   // [T + 1] how many rows are longer than t; NULL: all
  long alive_at(long t, long T) const { return t < 0 || t >= T ? 0 : alive == nullptr ? count : alive[t]; }
};

// The same for all groups. Sorted rows are dealt out like cards, so that every group has its share of long ones.
struct RowGroups {
  int32_t *at, *length, *alive, *counts;
  long B, T, groups;
  bool ragged;

  void cut(Cutter &cutter) {
    at = cutter.take<int32_t>(B);
    length = cutter.take<int32_t>(B);
    alive = cutter.take<int32_t>(ragged ? groups * (T + 1) : 0);
    counts = cutter.take<int32_t>(ragged ? T + 2 : 0);
  }

  long first(long group) const {  // rows of earlier groups: the first B % groups groups have one more
    const long each = B / groups, more = B % groups;
    return group * each + (group < more ? group : more);
  }

  void fill(const int64_t *lengths) {
    if (!ragged) {
      for (long b = 0; b < B; ++b) at[b] = int32_t(b), length[b] = int32_t(T);
      return;
    }
    // Sorted by counting, longest first; rows of one length keep their order.
    for (long t = 0; t <= T + 1; ++t) counts[t] = 0;
    for (long b = 0; b < B; ++b) ++counts[T - lengths[b] + 1];
    for (long t = 1; t <= T + 1; ++t) counts[t] += counts[t - 1];
    for (long b = 0; b < B; ++b) {
      const long rank = counts[T - lengths[b]]++;
      const long place = first(rank % groups) + rank / groups;
      at[place] = int32_t(b), length[place] = int32_t(lengths[b]);
    }
    for (long group = 0; group < groups; ++group) {
      int32_t *of_group = alive + group * (T + 1);
      long rows = first(group + 1) - first(group);
      for (long t = 0; t <= T; ++t) {
        while (rows > 0 && length[first(group) + rows - 1] <= t) --rows;
        of_group[t] = int32_t(rows);
      }
    }
  }

  Rows group(long g) const {
    return {first(g + 1) - first(g), at + first(g), length + first(g), ragged ? alive + g * (T + 1) : nullptr};
  }
};

// The parameters that act unit by unit, as vectors; zeros behind H and where there is none.
template <class Sizes>
struct UnitParameters {
  using S = typename Sizes::Storage;

  float *bias;               // [blocks_h][4][L], b_ih + b_hh
  float *p;                  // [blocks_h][4][L], peepholes at their gates
  float *gain_ih, *gain_hh;  // [blocks_h][4][L], with layer norm
  float *gain_c;             // [blocks_h][L], with layer norm

  void cut(Cutter &cutter, const Sizes &z) {
    const long size = z.blocks_h * kGates * L;
    bias = cutter.take<float>(size);
    p = cutter.take<float>(size);
    gain_ih = cutter.take<float>(z.norm ? size : 0);
    gain_hh = cutter.take<float>(z.norm ? size : 0);
    gain_c = cutter.take<float>(z.norm ? z.blocks_h * L : 0);
  }

  void pack(const Sizes &z, const gatewise_weights &w) {
    for (long j = 0; j < z.blocks_h; ++j)
      for (int g = 0; g < kGates; ++g) {
        const long at = (j * kGates + g) * L;
        store(bias + at, part(z, w.bias_ih, z.place(g), j) + part(z, w.bias_hh, z.place(g), j));
        store(p + at, part(z, w.weight_peephole, z.peephole_place(g), j));
        if (!z.norm) continue;
        store(gain_ih + at, part(z, w.gain_ih, z.place(g), j));
        store(gain_hh + at, part(z, w.gain_hh, z.place(g), j));
        if (g == 0) store(gain_c + j * L, part(z, w.gain_c, 0, j));
      }
  }

 private:
  // Block j of row `place` of a parameter [rows, H].
  static Vector part(const Sizes &z, const void *parameter, long place, long j) {
    if (parameter == nullptr || place < 0) return Vector{};
    return load(static_cast<const S *>(parameter) + place * z.H + j * L, z.lanes_h(j));
  }
};

// Mean and 1 / deviation over `count` values in vectors; lanes behind them hold zeros. visit(f) calls f(vector, lanes).
struct Moments {
  float mean, scale;
};
template <class Visit>
INLINE Moments moments(long count, const Visit &visit) {
  Vector total = {};
  visit([&](Vector x, long) { total += x; });
  const float mean = sum(total) / count;
  Vector squares = {};
  visit([&](Vector x, long lanes) {
    const Vector centred = keep_lanes(x - mean, lanes);
    squares += centred * centred;
  });
  return {mean, 1.f / __builtin_sqrtf(sum(squares) / count + 1e-5f)};
}

// The cut of resets before step t, in the order of a direction: a True at t parts t - 1 from t.
INLINE bool is_cut(const uint8_t *resets, long T, long B, long direction, long t, long row) {
  if (resets == nullptr) return false;
  const long at = direction == 0 ? t : t + 1;
  return at < T && resets[at * B + row];
}

// n values of a row of a sequence, as elements of a product.
template <class S, class Element>
INLINE void copy_row(const S *from, long stride, long n, Element *to) {
  long k = 0;
  if (stride == 1)
    for (; k + L <= n; k += L) {
      if constexpr (sizeof(S) == sizeof(Element)) memcpy(to + k, from + k, L * sizeof(S));
      else store(to + k, load(from + k));
    }
  for (; k < n; ++k) to[k] = as<Element>(from[k * stride]);
}

// n values that will be read one behind the other, if stride is 1.
template <class S>
INLINE void fetch_row(const S *from, long stride, long n) {
  if (stride == 1)
    for (long k = 0; k < n; k += 64 / long(sizeof(S))) __builtin_prefetch(from + k);
}

// Lanes j*L.. of row (t, b) of a sequence; zeros behind n.
template <class S>
INLINE Vector load_from(const gatewise_sequence &sequence, long t, long b, long first, long n) {
  const S *from = static_cast<const S *>(sequence.data) + t * sequence.stride_t + b * sequence.stride_b;
  if (sequence.stride_n == 1) return load(from + first, n - first);
  float lanes[L] = {};
  for (long l = 0; l < L && first + l < n; ++l) lanes[l] = widen(from[(first + l) * sequence.stride_n]);
  return load(lanes);
}

}  // namespace
