// The gradients of the parameters: a sum for each task, and in the end their sum, as the caller wants it.
#pragma once

#include "layer.h"

namespace {

// The parameters' gradients of one task, laid out as the products leave them.
template <class Sizes>
struct Sums {
  using S = typename Sizes::Storage;
  // Planes of `unit`; four of each but the last, one a gate.
  static constexpr long BIAS = 0, P = 4, GAIN_IH = 8, GAIN_HH = 12, GAIN_C = 16, PLANES = 17;

  float *ih, *hh;  // [blocks_h][I or P][4][L]
  float *hr;       // [P][blocks_h][L]
  float *unit;     // [blocks_h][PLANES][L]

  void cut(Cutter &cutter, const Sizes &z) {
    ih = cutter.take<float>(z.blocks_h * z.I * kGates * L);
    hh = cutter.take<float>(z.blocks_h * z.P * kGates * L);
    hr = cutter.take<float>(z.project ? z.P * z.blocks_h * L : 0);
    unit = cutter.take<float>(z.blocks_h * PLANES * L);
  }

  void clear(const Sizes &z) {
    memset(ih, 0, z.blocks_h * z.I * kGates * L * sizeof(float));
    memset(hh, 0, z.blocks_h * z.P * kGates * L * sizeof(float));
    if (z.project) memset(hr, 0, z.P * z.blocks_h * L * sizeof(float));
    memset(unit, 0, z.blocks_h * PLANES * L * sizeof(float));
  }

  // Block j of all parameters: the sum over `tasks`, always in the same order.
  static void write_block(const Sizes &z, const Sums *tasks, const gatewise_weights &to, long j) {
    write_matrix(z, tasks, &Sums::ih, z.I, to.weight_ih, j);
    write_matrix(z, tasks, &Sums::hh, z.P, to.weight_hh, j);
    for (int g = 0; g < kGates; ++g) {
      write_row(z, tasks, BIAS + g, to.bias_ih, z.place(g), j);
      write_row(z, tasks, BIAS + g, to.bias_hh, z.place(g), j);
      write_row(z, tasks, P + g, to.weight_peephole, z.peephole_place(g), j);
      write_row(z, tasks, GAIN_IH + g, to.gain_ih, z.place(g), j);
      write_row(z, tasks, GAIN_HH + g, to.gain_hh, z.place(g), j);
    }
    write_row(z, tasks, GAIN_C, to.gain_c, 0, j);
    if (z.project)
      for (long p = 0; p < z.P; ++p) {
        Vector total = {};
        for (long task = 0; task < z.groups; ++task) total += load(tasks[task].hr + (p * z.blocks_h + j) * L);
        store(static_cast<S *>(to.weight_hr) + p * z.H + j * L, total, z.lanes_h(j));
      }
  }

 private:
  static void write_row(const Sizes &z, const Sums *tasks, long plane, void *to, long place, long j) {
    if (to == nullptr || place < 0) return;
    Vector total = {};
    for (long task = 0; task < z.groups; ++task) total += load(tasks[task].unit + (j * PLANES + plane) * L);
    store(static_cast<S *>(to) + place * z.H + j * L, total, z.lanes_h(j));
  }

  static void write_matrix(const Sizes &z, const Sums *tasks, float *Sums::*of, long n, void *to, long j) {
    for (int g = 0; g < kGates; ++g) {
      if (z.place(g) < 0) continue;
      S *rows = static_cast<S *>(to) + (z.place(g) * z.H + j * L) * n;
      for (long k = 0; k < n; k += L) {
        const long columns = n - k < L ? n - k : L;
        Vector total[L] = {};
        for (long task = 0; task < z.groups; ++task)
          for (long i = 0; i < columns; ++i) total[i] += load(tasks[task].*of + ((j * n + k + i) * kGates + g) * L);
        transpose(total);
        for (long l = 0; l < z.lanes_h(j); ++l) store(rows + l * n + k, total[l], columns);
      }
    }
  }
};

}  // namespace
