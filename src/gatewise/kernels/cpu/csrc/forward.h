// The forward pass of a layer: the sheet of gatewise/equations.py, L units at a time. Numbers are its equations.
#pragma once

#include "layer.h"

namespace {

// The weights of one direction as the forward products read them.
template <class Sizes>
struct ForwardWeights {
  using S = typename Sizes::Storage;
  using Product = typename Sizes::Product;
  using Element = typename Product::Element;

  float *ih, *hh;  // for each block of units [words of I or P][4][L]
  float *hr;       // columns of W_hr transposed, H to P
  UnitParameters<Sizes> unit;

  void cut(Cutter &cutter, const Sizes &z) {
    ih = cutter.take<float>(z.blocks_h * words<Product>(z.I) * kGates * L);
    hh = cutter.take<float>(z.blocks_h * words<Product>(z.P) * kGates * L);
    hr = cutter.take<float>(z.project ? z.blocks_p * words<Product>(z.H) * L : 0);
    unit.cut(cutter, z);
  }

  void pack_block(const Sizes &z, const gatewise_weights &parameters, long j) {
    pack_gate_block(z, parameters.weight_ih, z.I, j, ih);
    pack_gate_block(z, parameters.weight_hh, z.P, j, hh);
    if (j > 0) return;
    unit.pack(z, parameters);
    if (z.project) pack_projection(z, parameters.weight_hr);
  }

 private:
  // Block j of a matrix [G*H, n], transposed: column k of unit l of gate g at [k][g][l].
  static void pack_gate_block(const Sizes &z, const void *matrix, long n, long j, float *packed) {
    constexpr long pair = Product::pair;
    float *block = packed + j * words<Product>(n) * kGates * L;
    for (int g = 0; g < kGates; ++g) {
      const long place = z.place(g);
      for (long k0 = 0; k0 < n; k0 += L * pair) {  // square after square
        Vector square[L] = {};
        for (long l = 0; place >= 0 && l < z.lanes_h(j); ++l)
          square[l] = load_words<Product>(static_cast<const S *>(matrix) + (place * z.H + j * L + l) * n + k0, n - k0);
        transpose(square);
        for (long i = 0; i < L && k0 + i * pair < n; ++i) store(block + ((k0 / pair + i) * kGates + g) * L, square[i]);
      }
    }
  }

  // W_hr is [P, H]; its rows are the columns here.
  void pack_projection(const Sizes &z, const void *matrix) {
    constexpr long pair = Product::pair;
    const long steps = words<Product>(z.H);
    memset(hr, 0, z.blocks_p * steps * L * sizeof(float));
    for_vector_groups(z.blocks_p, [&](long v0, long count) {
      Element *group = reinterpret_cast<Element *>(hr + v0 * L * steps);
      for (long n = v0 * L; n < z.P && n < (v0 + count) * L; ++n)
        for (long k = 0; k < z.H; ++k)
          group[(k / pair * count * L + n - v0 * L) * pair + k % pair] =
              as<Element>(static_cast<const S *>(matrix)[n * z.H + k]);
    });
  }
};

// Measured. W_ih x for all steps of a chunk at once pays for few rows, and for weights that the second cache does not
// hold; to write past the caches, for a tape of which nothing would still be there when it is read.
constexpr long kFewRows = 12, kFarBytes = 8 << 20;

// One direction over one group of rows.
template <class Sizes>
class Forward {
  using S = typename Sizes::Storage;
  using Product = typename Sizes::Product;
  using Element = typename Product::Element;

 public:
  Forward(const gatewise_layer &call, const Sizes &sizes, const ForwardWeights<Sizes> &weights, long direction,
          const Rows &rows)
      : call_(call), z(sizes), w(weights), d(direction), rows_(rows), n_(rows.count) {
    first_project_ = z.norm || (n_ < kFewRows && z.I > 4) || z.weight_bytes() > kNearBytes;
    past_caches_ = z.tape_size() * long(sizeof(float)) > kFarBytes && uintptr_t(call_.tape) % 64 == 0;
  }

  void cut(Cutter &cutter) {
    row_x_ = padded(words<Product>(z.I));
    row_h_ = padded(words<Product>(z.blocks_p * L));
    row_u_ = padded(words<Product>(z.blocks_h * L));
    x_ = cutter.take<float>(z.chunk * n_ * row_x_);
    for (auto &h : h_) h = cutter.take<float>(n_ * row_h_);
    c_ = cutter.take<float>(z.blocks_h * n_ * L);
    kept_ = cutter.take<float>(z.zoneout_h ? z.blocks_p * n_ * L : 0);
    u_ = cutter.take<float>(z.project ? n_ * row_u_ : 0);
    x_proj_ = cutter.take<float>(first_project_ ? z.chunk * n_ * z.blocks_h * kGates * L : 0);
    r_ = cutter.take<float>(z.norm ? n_ * z.blocks_h * kGates * L : 0);
    c_star_ = cutter.take<float>(z.norm ? z.blocks_h * L : 0);
    o_ = cutter.take<float>(z.norm ? z.blocks_h * L : 0);
    first_ = cutter.take<int32_t>(z.chunk + 1);
  }

  void run() {
    begin();
    for (long index = 0; index < z.chunks; ++index) {
      const long chunk = d == 0 ? index : z.chunks - 1 - index;
      const long t0 = chunk * z.chunk, steps = z.T - t0 < z.chunk ? z.T - t0 : z.chunk;
      t_first_ = d == 0 ? t0 : t0 + steps - 1;
      gather_input(steps);
      if (first_project_) project_input(steps);
      for (long s = 0; s < steps; ++s) step(s);
    }
    end();
  }

 private:
  const gatewise_layer &call_;
  const Sizes &z;
  const ForwardWeights<Sizes> &w;
  const long d;
  const Rows rows_;
  const long n_;
  bool first_project_, past_caches_;
  long t_first_;  // the first step of the chunk, in the direction's order

  long row_x_, row_h_, row_u_;  // words from one row to the next
  float *x_;                    // [rows of the chunk][row_x_]
  float *h_[2];                 // [n][row_h_], h * m_h, before a step and after it, in turn
  float *c_;                    // [blocks_h][n][L]
  float *kept_;                 // [blocks_p][n][L], h without m_h, for zoneout
  float *u_;                    // [n][row_u_], what W_hr projects
  float *x_proj_;               // [rows of the chunk][blocks_h][4][L]
  float *r_;                    // [n][blocks_h][4][L], W_hh h, for layer norm
  float *c_star_, *o_;          // [blocks_h][L], of one row, for layer norm
  int32_t *first_;              // [steps of the chunk + 1], the first row of each step in x_

  long time(long s) const { return d == 0 ? t_first_ + s : t_first_ - s; }
  S *output_at(long t, long row) const { return static_cast<S *>(call_.output) + ((t * z.B + row) * z.D + d) * z.P; }

  // A mask of [D, T, B, size] at step t; NULL where it does not act.
  const S *mask_at(const void *mask, long t, long size) const {
    return mask == nullptr ? nullptr : static_cast<const S *>(mask) + (d * z.T + t) * z.B * size;
  }

  // h of block j, as the recurrent product (1) will read it.
  INLINE void keep_h(const gatewise_layer &call, const Sizes &z, long d, long row, long j, Vector h, float *h_next) {
    if (call.mask_h != nullptr)
      h = h * load(static_cast<const S *>(call.mask_h) + (d * z.B + row) * z.P + j * L, z.P - j * L);
    store(reinterpret_cast<Element *>(h_next) + j * L, h);
  }

  // The initial state; zeros where nothing will be computed.
  void begin() {
    for (long b = 0; b < n_; ++b) {
      const long row = rows_.at[b];
      const S *h_0 = call_.h_0 == nullptr ? nullptr : static_cast<const S *>(call_.h_0) + (d * z.B + row) * z.P;
      for (long j = 0; j < z.blocks_h; ++j) {
        const long at = (d * z.B + row) * z.H + j * L;
        Vector c = {};
        if (call_.c_0 != nullptr && call_.wide_c) c = load(static_cast<const float *>(call_.c_0) + at, z.lanes_h(j));
        else if (call_.c_0 != nullptr) c = load(static_cast<const S *>(call_.c_0) + at, z.lanes_h(j));
        store(c_ + (j * n_ + b) * L, c);
      }
      for (long j = 0; j < z.blocks_p; ++j) {
        const Vector h = h_0 == nullptr ? Vector{} : load(h_0 + j * L, z.P - j * L);
        if (z.zoneout_h) store(kept_ + (j * n_ + b) * L, h);
        for (float *h_now : h_) keep_h(call_, z, d, row, j, h, h_now + b * row_h_);
      }
      for (long t = rows_.length[b]; t < z.T; ++t) memset(output_at(t, row), 0, z.P * sizeof(S));
    }
    now_ = 0;
  }

  // The state after each row's last step.
  void end() {
    for (long b = 0; b < n_; ++b) {
      const long row = rows_.at[b], length = rows_.length[b];
      S *h_n = static_cast<S *>(call_.h_n) + (d * z.B + row) * z.P;
      for (long j = 0; j < z.blocks_h; ++j) {
        const long at = (d * z.B + row) * z.H + j * L;
        const Vector c = load(c_ + (j * n_ + b) * L);
        if (call_.wide_c) store(static_cast<float *>(call_.c_n) + at, c, z.lanes_h(j));
        else store(static_cast<S *>(call_.c_n) + at, c, z.lanes_h(j));
      }
      if (length > 0) memcpy(h_n, output_at(d == 0 ? length - 1 : 0, row), z.P * sizeof(S));
      else if (call_.h_0 != nullptr)
        memcpy(h_n, static_cast<const S *>(call_.h_0) + (d * z.B + row) * z.P, z.P * sizeof(S));
      else memset(h_n, 0, z.P * sizeof(S));
    }
    finish_streams();
  }

  // The chunk's input, one row of x_ for each step and row alive.
  void gather_input(long steps) {
    first_[0] = 0;
    for (long s = 0; s < steps; ++s) first_[s + 1] = first_[s] + int32_t(rows_.alive_at(time(s), z.T));
    for (long s = 0; s < steps; ++s)
      for (long b = 0; b < first_[s + 1] - first_[s]; ++b) {
        Element *to = reinterpret_cast<Element *>(x_ + (first_[s] + b) * row_x_);
        const S *from = static_cast<const S *>(call_.input.data) + time(s) * call_.input.stride_t +
                        rows_.at[b] * call_.input.stride_b;
        fetch_row(from + (d == 0 ? 1 : -1) * call_.input.stride_t, call_.input.stride_n, z.I);  // of the next step
        copy_row(from, call_.input.stride_n, z.I, to);
        if (z.I % Product::pair) to[z.I] = Element{};
      }
  }

  // The part of (1) that no step waits for.
  void project_input(long steps) {
    const long rows = first_[steps], row = z.blocks_h * kGates * L, words_x = words<Product>(z.I);
    for (long j = 0; j < z.blocks_h; ++j) {
      const float *bias = w.unit.bias + j * kGates * L, *weight = w.ih + j * words_x * kGates * L;
      for_row_tiles(rows, [&](long r, long height) {
        Tile a;
        for (long i = 0; i < height * kGates; ++i) a[i] = z.norm ? Vector{} : load(bias + i % kGates * L);
        multiply<Product>(height, kGates, a, x_ + r * row_x_, row_x_, 1, weight, kGates * L, words_x);
        for (long m = 0; m < height; ++m)
          for (int g = 0; g < kGates; ++g) store(x_proj_ + (r + m) * row + (j * kGates + g) * L, a[m * kGates + g]);
      });
    }
    if (!z.norm) return;
    for (long s = 0; s < steps; ++s)
      for (long b = 0; b < first_[s + 1] - first_[s]; ++b) {
        float *x_proj = x_proj_ + (first_[s] + b) * row;
        normalise(x_proj, time(s), rows_.at[b], 1);
        for (long i = 0; i < row; i += L)
          store(x_proj + i, load(x_proj + i) * load(w.unit.gain_ih + i) + load(w.unit.bias + i));
      }
  }

  // (1') of one row [blocks_h][4][L], without gain; also to the tape. `term` 0 is the recurrent one, 1 the input's.
  void normalise(float *a, long t, long row, int term) {
    const Moments of = moments(z.gates * z.H, [&](const auto &f) __attribute__((always_inline)) {
      for (long j = 0; j < z.blocks_h; ++j)
        for (int g = 0; g < kGates; ++g)
          if (z.place(g) >= 0) f(load(a + (j * kGates + g) * L), z.lanes_h(j));
    });
    for (long j = 0; j < z.blocks_h; ++j)
      for (int g = 0; g < kGates; ++g) {
        float *at = a + (j * kGates + g) * L;
        store(at, keep_lanes((load(at) - of.mean) * of.scale, z.place(g) < 0 ? 0 : z.lanes_h(j)));
      }
    if (call_.save != GATEWISE_TAPE) return;
    call_.tape[z.tape_scales_at(d, t, row) + term] = of.scale;
    for (long j = 0; j < z.blocks_h; ++j) {
      float *tape = call_.tape + z.tape_at(d, t, j, row) + (5 + z.zoneout_c + term * kGates) * L;
      for (int g = 0; g < kGates; ++g) {
        const Vector normed = load(a + (j * kGates + g) * L);
        if (past_caches_) stream(tape + g * L, normed);
        else store(tape + g * L, normed);
      }
    }
  }

  // What one step reads and writes, gathered so that the compiler may keep it in registers.
  struct Here {
    const Sizes &z;
    const gatewise_layer &call;
    const ForwardWeights<Sizes> &w;
    const int32_t *at;
    long d, n, row_h;
    float *c, *kept, *h_next, *tape;
    bool past_caches;                       // whether the tape is written so
    long tape_block, tape_row, tape_plane;  // floats of it from one to the next
    S *output;
    const S *mask_g, *keep_h, *keep_c;

    INLINE void put(const Here &here, float *tape, Vector x) {
      if (here.past_caches) stream(tape, x);
      else store(tape, x);
    }

    // The cell, for L units of one row: from `a` of (1), in whose place the gates are left, to c* and tanh(c*) or
    // whatever stands there under layer norm. In three parts, so that several rows can go through each side by side:
    // what one row does next waits for what it did before.

    // (2) to (4).
    INLINE void open(const Here &here, long b, long j, Vector *a) {
      const Sizes &z = here.z;
      if (z.peephole) {
        const Vector c_prev = load(here.c + (j * here.n + b) * L);
        a[I_GATE] += load(here.w.unit.p + (j * kGates + I_GATE) * L) * c_prev;
        a[F_GATE] += load(here.w.unit.p + (j * kGates + F_GATE) * L) * c_prev;
      }
      a[I_GATE] = sigmoid(a[I_GATE]);                                                       // (2)
      if (here.call.forget == GATEWISE_FORGET_GATE) a[F_GATE] = sigmoid(a[F_GATE]);         // (3)
      else a[F_GATE] = here.call.forget == GATEWISE_COUPLED ? 1.f - a[I_GATE] : fill(1.f);  // (3')
      a[G_GATE] = tanh(a[G_GATE]);                                                          // (4)
    }

    // (5) and (8). Returns c*.
    INLINE Vector update(const Here &here, long b, long j, Vector *a) {
      const Sizes &z = here.z;
      const long row = here.at[b], first = j * L, lanes = z.H - first;
      const Vector i = a[I_GATE], f = a[F_GATE], g = a[G_GATE];
      float *c = here.c + (j * here.n + b) * L;
      const Vector c_prev = load(c);
      const Vector g_kept = here.mask_g == nullptr ? g : g * load(here.mask_g + row * z.H + first, lanes);  // (4')
      const Vector c_star = f * c_prev + i * g_kept;                                                        // (5)
      if (z.peephole) a[O_GATE] += load(here.w.unit.p + (j * kGates + O_GATE) * L) * c_star;
      Vector c_new = c_star;
      if (z.zoneout_c) {  // (8)
        const Vector k =
            here.keep_c == nullptr ? fill(here.call.keep_c_mean) : load(here.keep_c + row * z.H + first, lanes);
        c_new = c_prev + k * (c_star - c_prev);
      }
      store(c, c_new);
      if (here.tape != nullptr) {
        float *tape = here.tape + j * here.tape_block + row * here.tape_row;
        const long plane = here.tape_plane;
        const bool trace = here.call.save == GATEWISE_TRACE;
        put(here, tape, i);
        put(here, tape + plane, f);
        put(here, tape + 2 * plane, g);
        put(here, tape + 4 * plane, trace ? c_new : c_star);
        if (z.zoneout_c && !trace) put(here, tape + 5 * plane, c_new);
      }
      return c_star;
    }

    // (6).
    INLINE void look_out(const Here &here, long b, long j, Vector *a) {
      a[O_GATE] = sigmoid(a[O_GATE]);
      if (here.tape != nullptr)
        put(here, here.tape + j * here.tape_block + here.at[b] * here.tape_row + 3 * here.tape_plane, a[O_GATE]);
    }

    // (9) for block j of h*.
    INLINE void hold(const Here &here, long b, long j, Vector h) {
      const Sizes &z = here.z;
      const long row = here.at[b], first = j * L, lanes = z.P - first;
      if (z.zoneout_h) {
        float *kept = here.kept + (j * here.n + b) * L;
        const Vector k =
            here.keep_h == nullptr ? fill(here.call.keep_h_mean) : load(here.keep_h + row * z.P + first, lanes);
        h = load(kept) + k * (h - load(kept));
      }
      h = rounded<S>(keep_lanes(h, lanes));
      store(here.output + row * z.D * z.P + first, h, lanes);
      if (z.zoneout_h) store(here.kept + (j * here.n + b) * L, h);
      Forward::keep_h(here.call, z, here.d, row, j, h, here.h_next + b * here.row_h);
    }
  };

  int now_;  // which of h_ is before the step

  void step(long s) {
    const long t = time(s), alive = first_[s + 1] - first_[s];
    if (call_.resets != nullptr) cut_rows(t, alive);
    const float *h = h_[now_];
    const bool trace = call_.save == GATEWISE_TRACE;
    const Here here{.z = z,
                    .call = call_,
                    .w = w,
                    .at = rows_.at,
                    .d = d,
                    .n = n_,
                    .row_h = row_h_,
                    .c = c_,
                    .kept = kept_,
                    .h_next = h_[1 - now_],
                    .tape = !call_.save ? nullptr : call_.tape + (trace ? z.trace_at(d, t) : z.tape_at(d, t, 0, 0)),
                    .past_caches = past_caches_,
                    .tape_block = trace ? L : z.B * z.planes * L,
                    .tape_row = trace ? z.blocks_h * L : z.planes * L,
                    .tape_plane = trace ? z.trace_at(z.D, 0) : L,
                    .output = output_at(t, 0),
                    .mask_g = mask_at(call_.mask_g, t, z.H),
                    .keep_h = mask_at(call_.keep_h, t, z.P),
                    .keep_c = mask_at(call_.keep_c, t, z.H)};
    const float *x = x_ + first_[s] * row_x_;
    const float *x_proj = first_project_ ? x_proj_ + first_[s] * z.blocks_h * kGates * L : nullptr;
    // Several blocks of units at once where there are few rows: what a cell does next waits for what it did before.
    const long most = alive > 0 && 2 * alive <= kTileRows ? kTileRows / alive : 1;
    // To and fro from step to step: the weights used last are still near.
    const bool fro = s % 2;
    const long turns = (z.blocks_h + most - 1) / most;
    for (long turn = 0; turn < turns; ++turn) {
      const long j = (fro ? turns - 1 - turn : turn) * most, count = z.blocks_h - j < most ? z.blocks_h - j : most;
      for_row_tiles(alive, [&](long b, long height) {
        Tile a;
        for (long n = 0; n < count; ++n) {
          const long i = fro ? count - 1 - n : n;
          sum_gates(b, height, j + i, x + b * row_x_, x_proj, h + b * row_h_, a + i * height * kGates);
        }
        const auto each_cell = [&](const auto &f) __attribute__((always_inline)) {
          for (long i = 0, cell = 0; i < count; ++i)
            for (long m = 0; m < height; ++m, ++cell) f(cell, b + m, j + i, a + cell * kGates);
        };
        if (z.norm) {
          each_cell([&](long, long row, long block, const Vector *r) __attribute__((always_inline)) {
            for (int g = 0; g < kGates; ++g) store(r_ + ((row * z.blocks_h + block) * kGates + g) * L, r[g]);
          });
          return;
        }
        Vector u[kTileRows];
        each_cell([&](long, long row, long block, Vector *a)
                      __attribute__((always_inline)) { Here::open(here, row, block, a); });
        each_cell([&](long cell, long row, long block, Vector *a)
                      __attribute__((always_inline)) { u[cell] = Here::update(here, row, block, a); });
        each_cell([&](long cell, long row, long block, Vector *a) __attribute__((always_inline)) {
          Here::look_out(here, row, block, a);
          u[cell] = a[O_GATE] * tanh(u[cell]);  // (7)
        });
        each_cell([&](long cell, long row, long block, Vector *)
                      __attribute__((always_inline)) { give(here, row, block, u[cell]); });
      });
    }
    if (z.norm)
      for (long b = 0; b < alive; ++b) normed_cell(here, b, t, x_proj + b * z.blocks_h * kGates * L);
    if (z.project)  // (7')
      multiply_rows<Product>(alive, u_, row_u_, w.hr, words<Product>(z.H), z.blocks_p,
                             [&](long b, long j, Vector h)
                                 __attribute__((always_inline)) { Here::hold(here, b, j, h); });
    now_ = 1 - now_;
  }

  // (1) of block j for a tile of rows, which begins at x, h and row b of x_proj; the recurrent product alone under
  // layer norm.
  INLINE_MEMBER void sum_gates(long b, long height, long j, const float *x, const float *x_proj, const float *h,
                               Vector *a) {
    const long words_x = words<Product>(z.I), words_h = words<Product>(z.P);
    const float *bias = w.unit.bias + j * kGates * L, *w_ih = w.ih + j * words_x * kGates * L;
    const long inline_x = words_x <= 4 ? words_x : 0;  // too few for a product of their own
    for (long m = 0; m < height; ++m)
      for (int g = 0; g < kGates; ++g) {
        Vector &a_g = a[m * kGates + g];
        if (z.norm) {
          a_g = Vector{};
        } else if (x_proj != nullptr) {
          a_g = load(x_proj + (((b + m) * z.blocks_h + j) * kGates + g) * L);
        } else {
          a_g = load(bias + g * L);
          for (long s = 0; s < inline_x; ++s)
            a_g = Product::multiply_add(a_g, x[m * row_x_ + s], load(w_ih + (s * kGates + g) * L));
        }
      }
    if (x_proj == nullptr && inline_x == 0)
      multiply<Product>(height, kGates, a, x, row_x_, 1, w_ih, kGates * L, words_x);
    multiply<Product>(height, kGates, a, h, row_h_, 1, w.hh + j * words_h * kGates * L, kGates * L, words_h);
  }

  // (7) of block j: to the projection, or on to (9).
  INLINE_MEMBER void give(const Here &here, long b, long j, Vector u) {
    if (z.project) store(reinterpret_cast<Element *>(u_ + b * row_u_) + j * L, keep_lanes(u, z.H - j * L));
    else Here::hold(here, b, j, u);
  }

  // (1') to (7) of one row under layer norm, which looks at all units at once.
  void normed_cell(const Here &here, long b, long t, const float *x_proj) {
    float *r = r_ + b * z.blocks_h * kGates * L;
    normalise(r, t, rows_.at[b], 0);
    for (long j = 0; j < z.blocks_h; ++j) {
      Vector a[kGates];
      for (int g = 0; g < kGates; ++g) {
        const long i = (j * kGates + g) * L;
        a[g] = load(x_proj + i) + load(r + i) * load(w.unit.gain_hh + i);
      }
      Here::open(here, b, j, a);
      store(c_star_ + j * L, keep_lanes(Here::update(here, b, j, a), z.H - j * L));
      Here::look_out(here, b, j, a);
      store(o_ + j * L, a[O_GATE]);
    }
    const Moments of = moments(z.H, [&](const auto &f) {
      for (long j = 0; j < z.blocks_h; ++j) f(load(c_star_ + j * L), z.lanes_h(j));
    });
    for (long j = 0; j < z.blocks_h; ++j)
      give(here, b, j,
           load(o_ + j * L) * tanh((load(c_star_ + j * L) - of.mean) * of.scale * load(w.unit.gain_c + j * L)));
  }

  // Rows that start anew at step t: from zero.
  void cut_rows(long t, long alive) {
    for (long b = 0; b < alive; ++b) {
      if (!is_cut(call_.resets, z.T, z.B, d, t, rows_.at[b])) continue;
      memset(h_[now_] + b * row_h_, 0, row_h_ * sizeof(float));
      for (long j = 0; j < z.blocks_h; ++j) store(c_ + (j * n_ + b) * L, Vector{});
      if (z.zoneout_h)
        for (long j = 0; j < z.blocks_p; ++j) store(kept_ + (j * n_ + b) * L, Vector{});
    }
  }
};

}  // namespace
