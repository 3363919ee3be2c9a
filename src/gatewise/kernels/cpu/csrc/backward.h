// The backward pass of a layer: step_backward and weight_gradients of gatewise/equations.py, L units at a time.
#pragma once

#include "gradients.h"
#include "layer.h"

namespace {

// The weights of one direction as the backward products read them: from gates to what went into them.
template <class Sizes>
struct BackwardWeights {
  using S = typename Sizes::Storage;
  using Product = typename Sizes::Product;

  float *ih, *hh;  // columns of W_ih and W_hh; the summed rows are [blocks_h][4][L]
  float *hr;       // columns of W_hr, P to H
  UnitParameters<Sizes> unit;

  void cut(Cutter &cutter, const Sizes &z) {
    const long steps = words<Product>(z.blocks_h * kGates * L);
    ih = cutter.take<float>(z.blocks_i * steps * L);
    hh = cutter.take<float>(z.blocks_p * steps * L);
    hr = cutter.take<float>(z.project ? z.blocks_h * words<Product>(z.P) * L : 0);
    unit.cut(cutter, z);
  }

  // One of `parts(z)` independent parts.
  static long parts(const Sizes &z) { return (z.blocks_i + 3) / 4 + (z.blocks_p + 3) / 4 + 1; }
  void pack_part(const Sizes &z, const gatewise_layer &call, long d, long part) {
    const gatewise_weights &parameters = call.weights[d];
    const long parts_i = (z.blocks_i + 3) / 4, parts_p = (z.blocks_p + 3) / 4;
    if (part < parts_i) {
      if (call.d_input != nullptr) pack_gate_columns(z, parameters.weight_ih, z.I, part, ih);
    } else if (part < parts_i + parts_p) {
      pack_gate_columns(z, parameters.weight_hh, z.P, part - parts_i, hh);
    } else {
      unit.pack(z, parameters);
      const S *matrix = static_cast<const S *>(parameters.weight_hr);
      if (z.project) pack_columns<Product>(z.P, z.H, [&](long k) { return matrix + k * z.H; }, hr);
    }
  }

 private:
  // Four vectors of columns of a matrix [G*H, n].
  static void pack_gate_columns(const Sizes &z, const void *matrix, long n, long part, float *packed) {
    const long rows = z.blocks_h * kGates * L, first = part * 4 * L;
    const S *from = static_cast<const S *>(matrix) + first;
    const auto row_at = [&](long k) -> const S * {
      const long place = z.place(k / L % kGates), unit = k / (kGates * L) * L + k % L;
      return place < 0 || unit >= z.H ? nullptr : from + (place * z.H + unit) * n;
    };
    const long columns = n - first < 4 * L ? n - first : 4 * L;
    pack_columns<Product>(rows, columns, row_at, packed + first * words<Product>(rows));
  }
};

// One direction over one group of rows.
template <class Sizes>
class Backward {
  using S = typename Sizes::Storage;
  using Product = typename Sizes::Product;
  using Element = typename Product::Element;
  using TaskSums = Sums<Sizes>;

 public:
  // `turn`: one for each chunk of these rows, at first 0, shared by both directions.
  Backward(const gatewise_layer &call, const Sizes &sizes, const BackwardWeights<Sizes> &weights, long direction,
           const Rows &rows, const TaskSums &sums, int32_t *turn)
      : call_(call), z(sizes), w(weights), d(direction), rows_(rows), n_(rows.count), sums_(sums), turn_(turn) {}

  void cut(Cutter &cutter) {
    row_xh_ = padded(z.I + z.P);
    row_g_ = padded(z.blocks_h * kGates * L);
    row_u_ = padded(z.blocks_h * L);
    row_p_ = padded(z.blocks_p * L);
    const long most = z.chunk * n_, pairs = Product::pair > 1 ? (most + 1) / 2 : 0;
    xh_ = cutter.take<Element>(most * row_xh_);
    g_ = cutter.take<Element>(most * row_g_);
    gx_ = z.norm ? cutter.take<Element>(most * row_g_) : g_;
    u_ = cutter.take<Element>(z.project ? most * row_u_ : 0);
    h_star_ = cutter.take<Element>(z.project ? most * row_p_ : 0);
    left_ = cutter.take<float>(pairs * (row_xh_ > row_p_ ? row_xh_ : row_p_));
    right_ = cutter.take<float>(pairs * (row_g_ > row_u_ ? row_g_ : row_u_));
    d_h_ = cutter.take<float>(z.blocks_p * n_ * L);
    d_h_kept_ = cutter.take<float>(z.zoneout_h ? z.blocks_p * n_ * L : 0);
    d_c_ = cutter.take<float>(z.blocks_h * n_ * L);
    c_0_ = cutter.take<float>(z.blocks_h * n_ * L);
    c_copy_ = cutter.take<float>(z.blocks_h * n_ * L);
    d_u_ = cutter.take<float>(z.project ? z.blocks_h * n_ * L : 0);
    unit_ = cutter.take<float>(z.blocks_h * TaskSums::PLANES * L);
    row_of_c_ = cutter.take<float>(z.norm ? 3 * z.blocks_h * L : 0);
    row_of_a_ = cutter.take<float>(z.norm ? z.blocks_h * kGates * L : 0);
    c_prev_ = cutter.take<const float *>(n_);
    d_input_ = cutter.take<S *>(most);
    first_ = cutter.take<int32_t>(z.chunk + 1);
  }

  void run() {
    begin();
    for (long index = 0; index < z.chunks; ++index) {
      chunk_ = d == 0 ? z.chunks - 1 - index : index;
      const long t0 = chunk_ * z.chunk, steps = z.T - t0 < z.chunk ? z.T - t0 : z.chunk;
      t_first_ = d == 0 ? t0 + steps - 1 : t0;
      gather(steps);
      memset(unit_, 0, z.blocks_h * TaskSums::PLANES * L * sizeof(float));
      for (long s = 0; s < steps; ++s) step(s);
      if (call_.d_input != nullptr) input_gradient(steps);
      first_chunk_ = index == 0;
      weight_gradients(first_[steps]);
    }
    end();
  }

 private:
  const gatewise_layer &call_;
  const Sizes &z;
  const BackwardWeights<Sizes> &w;
  const long d;
  const Rows rows_;
  const long n_;
  const TaskSums sums_;
  int32_t *turn_;
  long chunk_, t_first_;  // and the first step of the chunk, in the order of this pass
  bool first_chunk_;      // whose part of the sums is stored, not added

  long row_xh_, row_g_, row_u_, row_p_;  // elements from one row to the next
  Element *xh_;                          // [rows of the chunk][I, then P]: the input and h_prev * m_h
  Element *g_;                           // [rows of the chunk][blocks_h][4][L], d_r: the gradient by W_hh h
  Element *gx_;                          // the same by W_ih x; without layer norm the same memory
  Element *u_;                           // [rows of the chunk][blocks_h][L], what W_hr projects
  Element *h_star_;                      // [rows of the chunk][blocks_p][L], d_h*, with a projection
  float *left_, *right_;                 // rows in pairs, for sums over rows
  float *d_h_;                           // [blocks_p][n][L], the gradient by h after the step at hand
  float *d_h_kept_;                      // [blocks_p][n][L], its part that zoneout takes past the step
  float *d_c_;                           // [blocks_h][n][L]
  float *c_0_;                           // [blocks_h][n][L]
  float *c_copy_;                        // [blocks_h][n][L], c before the step, where not all rows have it on the tape
  float *d_u_;                           // [blocks_h][n][L], with a projection
  float *unit_;                  // [blocks_h][PLANES][L], this chunk's part of the sums: short sums lose fewer digits
  float *row_of_c_, *row_of_a_;  // of one row, for layer norm
  const float **c_prev_;         // [n], where block 0 of a row's c before the step lies
  S **d_input_;                  // [rows of the chunk]
  int32_t *first_;               // [steps of the chunk + 1], the first row of each step

  long time(long s) const { return d == 0 ? t_first_ - s : t_first_ + s; }
  long before(long t) const { return d == 0 ? t - 1 : t + 1; }
  bool has_before(long t, long b) const { return d == 0 ? t > 0 : t + 1 < rows_.length[b]; }
  bool cut_at(long t, long b) const { return is_cut(call_.resets, z.T, z.B, d, t, rows_.at[b]); }
  const S *mask_at(const void *mask, long t, long size) const {
    return mask == nullptr ? nullptr : static_cast<const S *>(mask) + (d * z.T + t) * z.B * size;
  }

  // [D, B, size] to [blocks][n][L]; NULL is zero.
  void load_state(const void *state, long size, float *to) const {
    for (long j = 0; j < blocks(size); ++j)
      for (long b = 0; b < n_; ++b, to += L)
        store(to, state == nullptr
                      ? Vector{}
                      : load(static_cast<const S *>(state) + (d * z.B + rows_.at[b]) * size + j * L, size - j * L));
  }
  void store_state(const float *from, long size, void *state) const {
    for (long j = 0; j < blocks(size); ++j)
      for (long b = 0; b < n_; ++b, from += L)
        store(static_cast<S *>(state) + (d * z.B + rows_.at[b]) * size + j * L, load(from), size - j * L);
  }

  void begin() {
    load_state(call_.d_h_n, z.P, d_h_);
    load_state(call_.d_c_n, z.H, d_c_);
    load_state(call_.c_0, z.H, c_0_);
    if (z.chunks == 0) TaskSums(sums_).clear(z);
    if (d == 0 && call_.d_input != nullptr)
      for (long b = 0; b < n_; ++b)
        for (long t = rows_.length[b]; t < z.T; ++t)
          memset(static_cast<S *>(call_.d_input) + (t * z.B + rows_.at[b]) * z.I, 0, z.I * sizeof(S));
  }

  void end() {
    store_state(d_h_, z.P, call_.d_h_0);
    store_state(d_c_, z.H, call_.d_c_0);
  }

  // What went into the products of (1), for every step and row of the chunk; and where its gradient goes.
  void gather(long steps) {
    first_[0] = 0;
    for (long s = 0; s < steps; ++s) first_[s + 1] = first_[s] + int32_t(rows_.alive_at(time(s), z.T));
    for (long s = 0; s < steps; ++s)
      for (long b = 0; b < first_[s + 1] - first_[s]; ++b) {
        const long t = time(s), row = rows_.at[b], r = first_[s] + b;
        Element *to = xh_ + r * row_xh_;
        const S *x = static_cast<const S *>(call_.input.data) + t * call_.input.stride_t + row * call_.input.stride_b;
        const long next = d == 0 ? -1 : 1;  // step of this pass
        fetch_row(x + next * call_.input.stride_t, call_.input.stride_n, z.I);
        fetch_row(static_cast<const S *>(call_.output) + ((t + 2 * next) * z.B + row) * z.D * z.P + d * z.P, 1, z.P);
        copy_row(x, call_.input.stride_n, z.I, to);
        gather_h(t, b, to + z.I);
        d_input_[r] = static_cast<S *>(call_.d_input) + (t * z.B + row) * z.I;
      }
  }

  void gather_h(long t, long b, Element *to) {
    const long row = rows_.at[b];
    const S *h_prev = nullptr;
    if (cut_at(t, b)) h_prev = nullptr;
    else if (has_before(t, b))
      h_prev = static_cast<const S *>(call_.output) + ((before(t) * z.B + row) * z.D + d) * z.P;
    else if (call_.h_0 != nullptr) h_prev = static_cast<const S *>(call_.h_0) + (d * z.B + row) * z.P;
    if (h_prev == nullptr) {
      memset(to, 0, z.P * sizeof(Element));
    } else if (call_.mask_h != nullptr) {
      const S *mask = static_cast<const S *>(call_.mask_h) + (d * z.B + row) * z.P;
      for (long j = 0; j < z.blocks_p; ++j)
        store(to + j * L, load(h_prev + j * L, z.lanes_p(j)) * load(mask + j * L, z.lanes_p(j)), z.lanes_p(j));
    } else {
      copy_row(h_prev, 1, z.P, to);
    }
  }

  // What one step reads and writes, gathered so that the compiler may keep it in registers.
  static constexpr long kSideBySide = 8;
  struct Here {
    const Sizes &z;
    const gatewise_layer &call;
    const UnitParameters<Sizes> &unit;
    const int32_t *at;
    const float *const *c_prev;
    long d, t, n, c_prev_step, first, row_g;
    const float *tape;
    float *d_h, *d_h_kept, *d_c, *sums;
    Element *g;
    const S *mask_g, *keep_h, *keep_c;

    // (9): the gradient by block j of h*, from those by the output and by the next step.
    INLINE Vector by_h_star(const Here &here, long b, long j) {
      const Sizes &z = here.z;
      const long row = here.at[b], at = (j * here.n + b) * L;
      Vector d_h = load(here.d_h + at);
      if (here.call.d_output.data != nullptr)
        d_h += load_from<S>(here.call.d_output, here.t, row, here.d * z.P + j * L, here.d * z.P + z.P);
      if (!z.zoneout_h) return d_h;
      const Vector k =
          here.keep_h == nullptr ? fill(here.call.keep_h_mean) : load(here.keep_h + row * z.P + j * L, z.P - j * L);
      store(here.d_h_kept + at, d_h * (1.f - k));
      return d_h * k;
    }

    // (6) down to (2), for L units of one row. `d_u` is the gradient by what (7) gives, `tanh_c` the tanh in it,
    // `d_c_star` the gradient by c* through that tanh. Returns the gradient by a of (1), and keeps that by c_prev.
    INLINE void gates(const Here &here, long b, long j, Vector d_u, Vector tanh_c, Vector d_c_star,
                      Vector (&d_a)[kGates]) {
      const Sizes &z = here.z;
      const long row = here.at[b], lanes = z.H - j * L;
      const float *tape = here.tape + (j * z.B + row) * z.planes * L, *p = here.unit.p + j * kGates * L;
      const Vector i = load(tape), f = load(tape + L), g = load(tape + 2 * L), o = load(tape + 3 * L);
      const Vector c_prev = load(here.c_prev[b] + j * here.c_prev_step);
      float *d_c = here.d_c + (j * here.n + b) * L;

      const Vector d_a_o = d_u * tanh_c * o * (1.f - o);  // (6)
      Vector d_c_prev = {};
      if (z.zoneout_c) {  // (8)
        const Vector k =
            here.keep_c == nullptr ? fill(here.call.keep_c_mean) : load(here.keep_c + row * z.H + j * L, lanes);
        d_c_star += load(d_c) * k;
        d_c_prev = load(d_c) * (1.f - k);
      } else {
        d_c_star += load(d_c);
      }
      if (z.peephole) d_c_star += load(p + O_GATE * L) * d_a_o;
      d_c_prev += d_c_star * f;  // (5)
      const Vector d_f = d_c_star * c_prev;
      Vector d_i = d_c_star * g, d_g = d_c_star * i;
      if (here.mask_g != nullptr) {  // (4')
        const Vector m_g = load(here.mask_g + row * z.H + j * L, lanes);
        d_i *= m_g;
        d_g *= m_g;
      }
      const Vector d_a_g = d_g * (1.f - g * g);  // (4)
      const bool forget_gate = here.call.forget == GATEWISE_FORGET_GATE;
      const Vector d_a_f = forget_gate ? d_f * f * (1.f - f) : Vector{};  // (3)
      if (here.call.forget == GATEWISE_COUPLED) d_i -= d_f;               // (3')
      const Vector d_a_i = d_i * i * (1.f - i);                           // (2)
      if (z.peephole) d_c_prev += load(p + I_GATE * L) * d_a_i + load(p + F_GATE * L) * d_a_f;
      store(d_c, d_c_prev);

      d_a[I_GATE] = d_a_i, d_a[F_GATE] = d_a_f, d_a[G_GATE] = d_a_g, d_a[O_GATE] = d_a_o;
      if (lanes < L)
        for (int gate = 0; gate < kGates; ++gate) d_a[gate] = keep_lanes(d_a[gate], lanes);
      if (z.peephole) {
        float *sums = here.sums + j * TaskSums::PLANES * L;
        add(sums + (TaskSums::P + I_GATE) * L, d_a_i * c_prev);
        add(sums + (TaskSums::P + F_GATE) * L, d_a_f * c_prev);
        add(sums + (TaskSums::P + O_GATE) * L, d_a_o * load(tape + 4 * L));
      }
    }
  };

  void step(long s) {
    const long t = time(s), alive = first_[s + 1] - first_[s];
    find_c_prev(t, alive);
    const Here here{.z = z,
                    .call = call_,
                    .unit = w.unit,
                    .at = rows_.at,
                    .c_prev = c_prev_,
                    .d = d,
                    .t = t,
                    .n = n_,
                    .c_prev_step = c_prev_step_,
                    .first = first_[s],
                    .row_g = row_g_,
                    .tape = call_.tape + z.tape_at(d, t, 0, 0),
                    .d_h = d_h_,
                    .d_h_kept = d_h_kept_,
                    .d_c = d_c_,
                    .sums = unit_,
                    .g = g_,
                    .mask_g = mask_at(call_.mask_g, t, z.H),
                    .keep_h = mask_at(call_.keep_h, t, z.P),
                    .keep_c = mask_at(call_.keep_c, t, z.H)};
    if (z.project) project_back(here, alive);
    if (z.norm) {
      for (long b = 0; b < alive; ++b) normed_cell(here, b);
    } else {
      for (long j = 0; j < z.blocks_h; ++j)
        for (long b = 0; b < alive; b += kSideBySide)
          cells(here, b, alive - b < kSideBySide ? alive - b : kSideBySide, j);
    }
    // (1): the gradient by h_prev.
    const float *left = reinterpret_cast<const float *>(g_ + first_[s] * row_g_);
    multiply_rows<Product>(alive, left, row_g_ / Product::pair, w.hh, words<Product>(z.blocks_h * kGates * L),
                           z.blocks_p, [&](long b, long j, Vector d_h) __attribute__((always_inline)) {
                             const long at = (j * n_ + b) * L;
                             if (call_.mask_h != nullptr)
                               d_h *= load(static_cast<const S *>(call_.mask_h) + (d * z.B + rows_.at[b]) * z.P + j * L,
                                           z.lanes_p(j));
                             if (z.zoneout_h) d_h += load(d_h_kept_ + at);
                             store(d_h_ + at, d_h);
                           });
    if (call_.resets != nullptr) cut_rows(t, alive);
  }

  // (7) down to (2) of block j of a few rows. What one row does next waits for what it did before: so side by side.
  INLINE_MEMBER void cells(const Here &here, long b, long count, long j) {
    Vector tanh_c[kSideBySide], bias[kGates] = {};
    const float *tape[kSideBySide];
    for (long m = 0; m < count; ++m) {
      tape[m] = here.tape + (j * z.B + here.at[b + m]) * z.planes * L;
      prefetch(here, tape[m], b + m, j);
      tanh_c[m] = tanh(load(tape[m] + 4 * L));
    }
    for (long m = 0; m < count; ++m) {
      const Vector d_u = z.project ? load(d_u_ + (j * n_ + b + m) * L) : Here::by_h_star(here, b + m, j);
      const Vector o = load(tape[m] + 3 * L);
      Vector d_a[kGates];
      Here::gates(here, b + m, j, d_u, tanh_c[m], d_u * o * (1.f - tanh_c[m] * tanh_c[m]), d_a);  // (7)
      Element *g = here.g + (here.first + b + m) * here.row_g + j * kGates * L;
      for (int gate = 0; gate < kGates; ++gate) {
        store(g + gate * L, d_a[gate]);
        bias[gate] += d_a[gate];
      }
      if (z.project) store(u_ + (here.first + b + m) * row_u_ + j * L, keep_lanes(o * tanh_c[m], z.lanes_h(j)));
    }
    add_bias(j, bias);
  }

  // What the next step reads for the same row and block, which no processor guesses from the distances.
  INLINE_MEMBER void prefetch(const Here &here, const float *tape, long b, long j) {
    const long steps = before(here.t) - here.t;
    for (long i = 0; i < z.planes * L; i += 16) __builtin_prefetch(tape + steps * z.blocks_h * z.B * z.planes * L + i);
    const gatewise_sequence &d_output = call_.d_output;
    if (d_output.data != nullptr && !z.project)
      __builtin_prefetch(static_cast<const S *>(d_output.data) + (here.t + steps) * d_output.stride_t +
                         here.at[b] * d_output.stride_b + (d * z.P + j * L) * d_output.stride_n);
  }

  INLINE_MEMBER void add_bias(long j, const Vector *d_a) {
    for (int gate = 0; gate < kGates; ++gate)
      add(unit_ + (j * TaskSums::PLANES + TaskSums::BIAS + gate) * L, d_a[gate]);
  }

  long c_prev_step_;

  // c before step t: on the tape of the step before, or initial, or zero after a cut. One distance from block to block
  // serves all rows of a step, so the rows that differ are copied.
  void find_c_prev(long t, long alive) {
    const long plane = z.zoneout_c ? 5 : 4;
    c_prev_step_ = z.B * z.planes * L;
    bool all_before = true;
    for (long b = 0; b < alive; ++b) all_before = all_before && has_before(t, b) && !cut_at(t, b);
    if (!all_before) c_prev_step_ = n_ * L;
    for (long b = 0; b < alive; ++b) {
      if (all_before) {
        c_prev_[b] = call_.tape + z.tape_at(d, before(t), 0, rows_.at[b]) + plane * L;
        continue;
      }
      for (long j = 0; j < z.blocks_h; ++j) {
        const long at = (j * n_ + b) * L;
        if (cut_at(t, b)) store(c_copy_ + at, Vector{});
        else if (has_before(t, b))
          store(c_copy_ + at, load(call_.tape + z.tape_at(d, before(t), j, rows_.at[b]) + plane * L));
        else store(c_copy_ + at, load(c_0_ + at));
      }
      c_prev_[b] = c_copy_ + b * L;
    }
  }

  // (7'): d_h* and, through W_hr, d_u.
  void project_back(const Here &here, long alive) {
    for (long b = 0; b < alive; ++b)
      for (long j = 0; j < z.blocks_p; ++j)
        store(h_star_ + (here.first + b) * row_p_ + j * L, keep_lanes(Here::by_h_star(here, b, j), z.lanes_p(j)));
    const float *left = reinterpret_cast<const float *>(h_star_ + here.first * row_p_);
    multiply_rows<Product>(alive, left, row_p_ / Product::pair, w.hr, words<Product>(z.P), z.blocks_h,
                           [&](long b, long j, Vector d_u)
                               __attribute__((always_inline)) { store(d_u_ + (j * n_ + b) * L, d_u); });
  }

  // (7) down to (1') of one row under layer norm, which looks at all units at once.
  void normed_cell(const Here &here, long b) {
    const long row = here.at[b], r = here.first + b, block = z.B * z.planes * L;
    const float *tape = here.tape + row * z.planes * L;  // of block 0
    for (long j = 0; j < z.blocks_h; ++j) prefetch(here, tape + j * block, b, j);
    float *normed = row_of_c_, *tanh_of = normed + z.blocks_h * L, *d_normed = tanh_of + z.blocks_h * L;
    const Moments of = moments(z.H, [&](const auto &f) {
      for (long j = 0; j < z.blocks_h; ++j) f(keep_lanes(load(tape + j * block + 4 * L), z.lanes_h(j)), z.lanes_h(j));
    });
    Vector sum_d = {}, sum_dx = {};
    for (long j = 0; j < z.blocks_h; ++j) {
      const long lanes = z.lanes_h(j);
      const Vector gain = load(w.unit.gain_c + j * L), o = load(tape + j * block + 3 * L);
      const Vector c = keep_lanes((load(tape + j * block + 4 * L) - of.mean) * of.scale, lanes);
      const Vector tanh_c = tanh(c * gain);
      const Vector d_u = z.project ? load(d_u_ + (j * n_ + b) * L) : Here::by_h_star(here, b, j);
      const Vector d = keep_lanes(d_u * o * (1.f - tanh_c * tanh_c), lanes);  // (7)
      add(unit_ + (j * TaskSums::PLANES + TaskSums::GAIN_C) * L, d * c);
      sum_d += d * gain;
      sum_dx += d * gain * c;
      store(normed + j * L, c);
      store(tanh_of + j * L, tanh_c);
      store(d_normed + j * L, d * gain);
      if (z.project) store(u_ + r * row_u_ + j * L, keep_lanes(o * tanh_c, lanes));
      else store(row_of_a_ + j * kGates * L, d_u);  // until its place is taken by d_a of the same block
    }
    const float mean_d = sum(sum_d) / z.H, mean_dx = sum(sum_dx) / z.H;
    for (long j = 0; j < z.blocks_h; ++j) {
      const Vector d_u = z.project ? load(d_u_ + (j * n_ + b) * L) : load(row_of_a_ + j * kGates * L);
      const Vector d_c_star = of.scale * (load(d_normed + j * L) - mean_d - load(normed + j * L) * mean_dx);
      Vector d_a[kGates];
      Here::gates(here, b, j, d_u, load(tanh_of + j * L), d_c_star, d_a);
      for (int g = 0; g < kGates; ++g) store(row_of_a_ + (j * kGates + g) * L, d_a[g]);
      add_bias(j, d_a);
    }
    const float *scales = call_.tape + z.tape_scales_at(d, here.t, row);
    through_norm(tape + (5 + z.zoneout_c) * L, scales[0], w.unit.gain_hh, TaskSums::GAIN_HH, g_ + r * row_g_);
    through_norm(tape + (5 + z.zoneout_c + kGates) * L, scales[1], w.unit.gain_ih, TaskSums::GAIN_IH, gx_ + r * row_g_);
  }

  // (1'): from d_a of one row to the gradient by a product, which the tape holds normalised.
  void through_norm(const float *normed, float scale, const float *gain, long plane, Element *to) {
    const long block = z.B * z.planes * L;
    Vector sum_d = {}, sum_dx = {};
    for (long j = 0; j < z.blocks_h; ++j)
      for (int g = 0; g < kGates; ++g) {
        const long at = (j * kGates + g) * L;
        const Vector d_a = load(row_of_a_ + at), x = load(normed + j * block + g * L), d = d_a * load(gain + at);
        add(unit_ + (j * TaskSums::PLANES + plane + g) * L, d_a * x);
        sum_d += d;
        sum_dx += d * x;
      }
    const float count = float(z.gates * z.H), mean_d = sum(sum_d) / count, mean_dx = sum(sum_dx) / count;
    for (long j = 0; j < z.blocks_h; ++j)
      for (int g = 0; g < kGates; ++g) {
        const long at = (j * kGates + g) * L;
        const Vector x = load(normed + j * block + g * L), d = load(row_of_a_ + at) * load(gain + at);
        store(to + at, keep_lanes(scale * (d - mean_d - x * mean_dx), z.place(g) < 0 ? 0 : z.lanes_h(j)));
      }
  }

  // Rows that started anew at step t: nothing reaches what was before.
  void cut_rows(long t, long alive) {
    for (long b = 0; b < alive; ++b) {
      if (!cut_at(t, b)) continue;
      for (long j = 0; j < z.blocks_p; ++j) store(d_h_ + (j * n_ + b) * L, Vector{});
      for (long j = 0; j < z.blocks_h; ++j) store(d_c_ + (j * n_ + b) * L, Vector{});
    }
  }

  // The other half of (1), for all steps of the chunk. Two directions meet here: the one that comes second adds.
  void input_gradient(long steps) {
    enum { NOBODY, WRITING, WRITTEN };
    int32_t expected = NOBODY;
    int32_t *turn = turn_ + chunk_;
    const bool first =
        z.D == 1 || __atomic_compare_exchange_n(turn, &expected, WRITING, false, __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE);
    if (!first)
      while (__atomic_load_n(turn, __ATOMIC_ACQUIRE) != WRITTEN) pause();
    const float *left = reinterpret_cast<const float *>(gx_);
    multiply_rows<Product>(
        first_[steps], left, row_g_ / Product::pair, w.ih, words<Product>(z.blocks_h * kGates * L), z.blocks_i,
        [&](long r, long j, Vector d) __attribute__((always_inline)) {
          S *to = d_input_[r] + j * L;
          const long lanes = z.I - j * L;
          // Both rounded before they are added, so that it does not matter which comes first.
          store(to, first ? d : load(to, lanes) + rounded<S>(d), lanes);
        },
        [&](long r, long height, long j, long count) __attribute__((always_inline)) {
          // The product takes as long as it takes to bring near what its result goes to.
          for (long m = 0; m < height; ++m)
            for (long i = 0; i < count * L * long(sizeof(S)); i += 64)
              __builtin_prefetch(reinterpret_cast<char *>(d_input_[r + m] + j * L) + i, 1);
        });
    if (first) __atomic_store_n(turn, int32_t(WRITTEN), __ATOMIC_RELEASE);
  }

  // Products summed over all steps and rows of the chunk.
  void weight_gradients(long rows) {
    const float *xh = pair_rows<Product>(xh_, rows, row_xh_, left_);
    if (z.norm) {
      add_outer(xh, z.I, pair_rows<Product>(gx_, rows, row_g_, right_), rows, sums_.ih);
      add_outer(xh + z.I, z.P, pair_rows<Product>(g_, rows, row_g_, right_), rows, sums_.hh);
    } else {
      const float *g = pair_rows<Product>(g_, rows, row_g_, right_);
      add_outer(xh, z.I, g, rows, sums_.ih);
      add_outer(xh + z.I, z.P, g, rows, sums_.hh);
    }
    for (long i = 0; i < z.blocks_h * TaskSums::PLANES * L; i += L) accumulate(sums_.unit + i, load(unit_ + i));
    if (!z.project) return;
    const float *h_star = pair_rows<Product>(h_star_, rows, row_p_, left_);  // (7')
    const float *u = pair_rows<Product>(u_, rows, row_u_, right_);
    for_vector_groups(z.blocks_h, [&](long v0, long count) {
      for_row_tiles(z.P, [&](long p, long height) {
        Tile total = {};
        multiply<Product>(height, count, total, h_star + p, 1, row_p_, u + v0 * L, row_u_, words<Product>(rows));
        for (long m = 0; m < height; ++m)
          for (long v = 0; v < count; ++v)
            accumulate(sums_.hr + ((p + m) * z.blocks_h + v0 + v) * L, total[m * count + v]);
      });
    });
  }

  // sums[j][k][4][L] += sum over rows of left[row][k] * g[row][j][4][L]
  void add_outer(const float *left, long size, const float *g, long rows, float *sums) {
    for (long j = 0; j < z.blocks_h; ++j)
      for_row_tiles(size, [&](long k, long height) {
        float *to = sums + (j * size + k) * kGates * L;
        for (long i = 0; i < height * kGates * L; i += 16) __builtin_prefetch(to + i, 1);
        Tile total = {};
        multiply<Product>(height, kGates, total, left + k, 1, row_xh_, g + j * kGates * L, row_g_,
                          words<Product>(rows));
        for (long i = 0; i < height * kGates; ++i) accumulate(to + i * L, total[i]);
      });
  }

  INLINE_MEMBER void accumulate(float *sum, Vector part) { store(sum, first_chunk_ ? part : load(sum) + part); }
};

}  // namespace
