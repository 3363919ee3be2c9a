// Batch normalisation over the real steps of padded sequences, followed by dropout.
//
// With n real steps, mean m and variance v of a feature over them, and the dropout factor k of each value:
//     y  = k ((x - m) s w + b),  s = 1 / sqrt(v + eps)
//     g  = k dy,   db = sum g,   dw = s sum g (x - m)
//     dx = w s (g - db / n - (x - m) s dw / n)     or w s g, where m and v were given
//
// Rows, the values of one step, are taken in blocks: in the order in which they lie in memory, and by their number
// alone, so that every sum has the same order on any number of threads. What a block sums in float is added up in
// double.
#pragma once

#include "api.h"
#include "parallel.h"
#include "random.h"
#include "workspace.h"

namespace {

constexpr int kBlockRows = 128;
constexpr int kNormTasks = 64;  // at most

struct Row {
  int32_t t, b;
};

// The rows of a block, real ones and padding apart.
struct Block {
  int count = 0, padding = 0;
  Row real[kBlockRows], padded[kBlockRows];
};

// How rows are numbered and shared out.
class RowOrder {
 public:
  explicit RowOrder(const gatewise_norm &call) : call_(call) {
    const bool time_outside = call.input.stride_t >= call.input.stride_b;
    inner_ = time_outside ? call.B : call.T;
    time_outside_ = time_outside;
    rows_ = call.T * call.B;
    blocks_ = (rows_ + kBlockRows - 1) / kBlockRows;
    in_task_ = blocks_ ? (blocks_ + kNormTasks - 1) / kNormTasks : 1;
  }

  int tasks() const { return int((blocks_ + in_task_ - 1) / in_task_); }

  // Calls f(block) for the blocks of a task, in order.
  template <class F>
  void for_blocks(int task, const F &f) const {
    for (int64_t index = task * in_task_; index < blocks_ && index < (task + 1) * in_task_; ++index) {
      Block block;
      int64_t row = index * kBlockRows, outer = row / inner_, inner = row % inner_;
      for (int i = 0; i < kBlockRows && row < rows_; ++i, ++row) {
        const Row at = time_outside_ ? Row{int32_t(outer), int32_t(inner)} : Row{int32_t(inner), int32_t(outer)};
        const uint8_t *mask = call_.mask;
        if (mask == nullptr || mask[at.t * call_.mask_stride_t + at.b * call_.mask_stride_b])
          block.real[block.count++] = at;
        else block.padded[block.padding++] = at;
        if (++inner == inner_) inner = 0, ++outer;
      }
      f(block);
    }
  }

 private:
  const gatewise_norm &call_;
  int64_t inner_, rows_, blocks_, in_task_;
  bool time_outside_;
};

template <class S>
INLINE S *row_of(const gatewise_sequence &sequence, Row row) {
  return static_cast<S *>(sequence.data) + row.t * sequence.stride_t + row.b * sequence.stride_b;
}

// Calls f<whole>(first) for every strip of the values begin..end-1, begin a multiple of kPanel: kStrip vectors at
// first, first + 16, ... `whole`: all of them lie before the end.
template <class F>
INLINE void for_strips(long begin, long end, const F &f) {
  for (long panel = begin; panel < end; panel += kPanel)
    for (long first = panel; first < panel + kCounters && first < end; first += L) {
      if (first + (kStrip - 1) * kCounters + L <= end) f.template operator()<true>(first);
      else f.template operator()<false>(first);
    }
}

// Calls f(i, at, lanes) for the vectors of a strip: its number, its first value and how many there are.
template <bool whole, class F>
INLINE void for_vectors(long first, long end, const F &f) {
  if constexpr (whole) {
#pragma GCC unroll 8
    for (int i = 0; i < kStrip; ++i) f(i, first + i * kCounters, long(L));
  } else {
    for (int i = 0; i < kStrip; ++i) {
      const long at = first + i * kCounters;
      if (at >= end) return;
      f(i, at, end - at);
    }
  }
}

// Two sums of each value of a strip over the rows of a block; add(row, sums) adds a row.
struct StripSums {
  Vector a[kStrip] = {}, b[kStrip] = {};
};
template <class Add>
INLINE StripSums sum_rows(const Block &block, const Add &add) {
  StripSums sums;
  for (int r = 0; r < block.count; ++r) add(block.real[r], sums);
  return sums;
}

// What a task found; joined in the order of the tasks.
struct Partial {
  double *a, *b;  // [C] mean and squared distances from it; or the two sums of the backward pass
  int64_t count;
};

// The mean and the squared distances of `count` values and of `more.count` other ones, of all.
INLINE void join(Partial &all, const Partial &more, long C) {
  if (more.count == 0) return;
  const double share = double(more.count) / double(all.count + more.count), weight = share * double(all.count);
  for (long c = 0; c < C; ++c) {
    const double apart = more.a[c] - all.a[c];
    all.a[c] += apart * share;
    all.b[c] += more.b[c] + apart * apart * weight;
  }
  all.count += more.count;
}

template <class S>
class BatchNorm {
 public:
  explicit BatchNorm(const gatewise_norm &call)
      : call_(call),
        C(call.C),
        m_(call.moments),
        s_(call.moments + call.C),
        rows_(call),
        dropout_(call.dropped, call.seed) {}

  void cut(Cutter &cutter) {
    const int tasks = rows_.tasks() + (rows_.tasks() == 0);
    partials_ = cutter.take<Partial>(tasks);
    double *sums = cutter.take<double>(int64_t(tasks) * 2 * C);
    blocks_ = cutter.take<double>(int64_t(tasks) * 2 * C);
    scale_ = cutter.take<float>(C);
    shift_ = cutter.take<float>(C);
    slope_ = cutter.take<float>(C);
    if (cutter.memory == nullptr) return;
    for (int task = 0; task < tasks; ++task) {
      partials_[task] = {sums + task * 2 * C, sums + (task * 2 + 1) * C, 0};
      memset(partials_[task].a, 0, 2 * C * sizeof(double));
    }
  }

  void forward() {
    call_.mean == nullptr ? measure() : take_given();
    for (long c = 0; c < C; ++c) scale_[c] = call_.weight[c] * s_[c];
    parallel_for(rows_.tasks(), call_.threads, [&](int task) {
      rows_.for_blocks(task, [&](const Block &block) {
        dropout_.acts() ? normalise<true>(block) : normalise<false>(block);
        zero(block, call_.output);
      });
    });
  }

  void backward() {
    const int tasks = rows_.tasks();
    parallel_for(tasks, call_.threads, [&](int task) {
      rows_.for_blocks(task, [&](const Block &block) {
        dropout_.acts() ? sum_gradients<true>(block, partials_[task]) : sum_gradients<false>(block, partials_[task]);
      });
    });
    int64_t count = 0;
    for (int task = 0; task < tasks; ++task) count += partials_[task].count;
    for (long c = 0; c < C; ++c) {
      double d_bias = 0, centred = 0;
      for (int task = 0; task < tasks; ++task) d_bias += partials_[task].a[c], centred += partials_[task].b[c];
      const double s = s_[c];
      call_.d_bias[c] = float(d_bias);
      call_.d_weight[c] = float(centred * s);
      scale_[c] = call_.weight[c] * s_[c];
      shift_[c] = float(d_bias / double(count));
      slope_[c] = float(centred * s * s / double(count));
    }
    if (call_.d_input.data == nullptr) return;
    parallel_for(tasks, call_.threads, [&](int task) {
      rows_.for_blocks(task, [&](const Block &block) {
        if (call_.mean == nullptr)
          dropout_.acts() ? differentiate<true, true>(block) : differentiate<false, true>(block);
        else dropout_.acts() ? differentiate<true, false>(block) : differentiate<false, false>(block);
        zero(block, call_.d_input);
      });
    });
  }

 private:
  const gatewise_norm &call_;
  const long C;
  float *const m_, *const s_;  // [C] mean and 1 / sqrt(variance + eps); the variance over n - 1 follows them
  const RowOrder rows_;
  const Dropout dropout_;
  Partial *partials_ = nullptr;
  double *blocks_ = nullptr;  // [tasks][2][C], what a block found
  float *scale_ = nullptr;    // [C] w s
  float *shift_ = nullptr;    // [C] db / n
  float *slope_ = nullptr;    // [C] s dw / n

  // m, s and the variance of the batch.
  void measure() {
    const int tasks = rows_.tasks();
    parallel_for(tasks, call_.threads,
                 [&](int task) { rows_.for_blocks(task, [&](const Block &block) { measure_block(block, task); }); });
    Partial &all = partials_[0];
    for (int task = 1; task < tasks; ++task) join(all, partials_[task], C);
    for (long c = 0; c < C; ++c) {
      const double variance = all.b[c] / double(all.count);
      m_[c] = float(all.a[c]);
      s_[c] = float(1 / __builtin_sqrt(variance + double(call_.eps)));
      s_[C + c] = float(all.b[c] / double(all.count - 1));
    }
  }

  void take_given() {
    for (long c = 0; c < C; ++c) {
      m_[c] = call_.mean[c];
      s_[c] = float(1 / __builtin_sqrt(double(call_.variance[c]) + double(call_.eps)));
      s_[C + c] = call_.variance[c];
    }
  }

  // The mean first and the distances from it then, while the block is in the cache. What is left of the mean's rounding
  // shows as the sum of those distances, and is put right.
  void measure_block(const Block &block, int task) {
    if (block.count == 0) return;
    Partial found = {blocks_ + task * 2 * C, blocks_ + (task * 2 + 1) * C, block.count};
    const float share = 1.f / float(block.count);
    for_strips(0, C, [&]<bool whole>(long first) {
      StripSums sums = sum_rows(block, [&](Row row, StripSums &sum) {
        const S *x = row_of<S>(call_.input, row);
        for_vectors<whole>(first, C, [&](int i, long at, long lanes) { sum.a[i] += load(x + at, lanes); });
      });
      Vector mean[kStrip];
      for (int i = 0; i < kStrip; ++i) mean[i] = sums.a[i] * share;
      sums = sum_rows(block, [&](Row row, StripSums &sum) {
        const S *x = row_of<S>(call_.input, row);
        for_vectors<whole>(first, C, [&](int i, long at, long lanes) {
          const Vector apart = load(x + at, lanes) - mean[i];
          sum.a[i] += apart;
          sum.b[i] += apart * apart;
        });
      });
      for_vectors<whole>(first, C, [&](int i, long at, long lanes) {
        for (long l = 0; l < L && l < lanes; ++l) {
          const double left = sums.a[i][l];
          found.a[at + l] = mean[i][l] + left / block.count;
          found.b[at + l] = sums.b[i][l] - left * left / block.count;
        }
      });
    });
    join(partials_[task], found, C);
  }

  template <bool drops>
  void normalise(const Block &block) {
    for (int r = 0; r < block.count; ++r) {
      const Row row = block.real[r];
      const S *x = row_of<S>(call_.input, row);
      S *y = row_of<S>(call_.output, row);
      for_strips(0, C, [&]<bool whole>(long first) {
        Vector k[kStrip];
        if (drops) dropout_.factors(first, row.t, row.b, k);
        for_vectors<whole>(first, C, [&](int i, long at, long lanes) {
          const Vector centred = load(x + at, lanes) - load(m_ + at, lanes);
          const Vector value = centred * load(scale_ + at, lanes) + load(call_.bias + at, lanes);
          store(y + at, drops ? k[i] * value : value, lanes);
        });
      });
    }
  }

  template <bool drops>
  void sum_gradients(const Block &block, Partial &all) {
    for_strips(0, C, [&]<bool whole>(long first) {
      Vector mean[kStrip] = {};
      for_vectors<whole>(first, C, [&](int i, long at, long lanes) { mean[i] = load(m_ + at, lanes); });
      const StripSums sums = sum_rows(block, [&](Row row, StripSums &sum) {
        const S *x = row_of<S>(call_.input, row), *dy = row_of<S>(call_.d_output, row);
        Vector k[kStrip];
        if (drops) dropout_.factors(first, row.t, row.b, k);
        for_vectors<whole>(first, C, [&](int i, long at, long lanes) {
          Vector g = load(dy + at, lanes);
          if (drops) g *= k[i];
          sum.a[i] += g;
          sum.b[i] += g * (load(x + at, lanes) - mean[i]);
        });
      });
      for_vectors<whole>(first, C, [&](int i, long at, long lanes) {
        for (long l = 0; l < L && l < lanes; ++l) all.a[at + l] += sums.a[i][l], all.b[at + l] += sums.b[i][l];
      });
    });
    all.count += block.count;
  }

  template <bool drops, bool measured>
  void differentiate(const Block &block) {
    for (int r = 0; r < block.count; ++r) {
      const Row row = block.real[r];
      const S *x = row_of<S>(call_.input, row), *dy = row_of<S>(call_.d_output, row);
      S *dx = row_of<S>(call_.d_input, row);
      for_strips(0, C, [&]<bool whole>(long first) {
        Vector k[kStrip];
        if (drops) dropout_.factors(first, row.t, row.b, k);
        for_vectors<whole>(first, C, [&](int i, long at, long lanes) {
          Vector g = load(dy + at, lanes);
          if (drops) g *= k[i];
          if (measured) {
            const Vector centred = load(x + at, lanes) - load(m_ + at, lanes);
            g = g - load(shift_ + at, lanes) - centred * load(slope_ + at, lanes);
          }
          store(dx + at, load(scale_ + at, lanes) * g, lanes);
        });
      });
    }
  }

  void zero(const Block &block, const gatewise_sequence &sequence) {
    for (int r = 0; r < block.padding; ++r) memset(row_of<S>(sequence, block.padded[r]), 0, C * sizeof(S));
  }
};

template <class S>
int32_t run_norm(const gatewise_norm &call, bool backward) {
  BatchNorm<S> norm(call);
  Workspace workspace;
  if (!workspace.hold(norm)) return 1;
  backward ? norm.backward() : norm.forward();
  return 0;
}
int32_t norm_forward(const gatewise_norm *call) {
  return call->dtype == GATEWISE_FLOAT32 ? run_norm<float>(*call, false) : run_norm<bfloat16>(*call, false);
}
int32_t norm_backward(const gatewise_norm *call) {
  return call->dtype == GATEWISE_FLOAT32 ? run_norm<float>(*call, true) : run_norm<bfloat16>(*call, true);
}

// Dropout alone: places are counted through the whole memory.
template <class S>
void run_dropout(const gatewise_dropout &call) {
  constexpr int64_t in_task = 128 * kPanel;
  const Dropout dropout(call.dropped, call.seed);
  const S *from = static_cast<const S *>(call.input);
  S *to = static_cast<S *>(call.output);
  parallel_for(int((call.n + in_task - 1) / in_task), call.threads, [&](int task) {
    const int64_t begin = task * in_task, end = begin + in_task < call.n ? begin + in_task : call.n;
    for_strips(begin, end, [&]<bool whole>(long first) {
      Vector k[kStrip];
      dropout.factors(first, 0, 0, k);
      for_vectors<whole>(first, end,
                         [&](int i, long at, long lanes) { store(to + at, k[i] * load(from + at, lanes), lanes); });
    });
  });
}
void run_dropout(const gatewise_dropout *call) {
  call->dtype == GATEWISE_FLOAT32 ? run_dropout<float>(*call) : run_dropout<bfloat16>(*call);
}

}  // namespace
