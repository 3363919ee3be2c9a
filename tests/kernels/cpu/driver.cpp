// Several threads that call the library at once, each with worker threads of its own and all on the same inputs.
//
// Built with ThreadSanitizer (make tsan), which reports any two threads that touch the same memory, one of them writing,
// with nothing between them. The library then has std::threads: those of OpenMP are not instrumented and read as races.
// Whatever is computed must also be, bit by bit, what one thread computes alone. Not compiled otherwise.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <thread>
#include <vector>

#include "api.h"

extern "C" {
int gatewise_isa_count();
const char *gatewise_isa_name(int);
int gatewise_isa_runs(int);
const gatewise_functions *gatewise_isa_functions(int);
void *gatewise_memory_take(int64_t);
void gatewise_memory_give(void *);
}

namespace {

constexpr int kCallers = 3, kWorkers = 4, kRepeats = 2;

struct Case {
  const char *name;
  int64_t T, B, I, H, P, D;
  int32_t dtype, forget;
  bool norm, project, peephole, ragged, masks;
};

const Case cases[] = {
    {"plain", 13, 33, 5, 33, 33, 2, GATEWISE_FLOAT32, GATEWISE_FORGET_GATE, false, false, false, false, false},
    {"one row", 17, 1, 9, 70, 70, 1, GATEWISE_FLOAT32, GATEWISE_FORGET_GATE, false, false, false, false, false},
    {"ragged", 19, 40, 7, 20, 20, 2, GATEWISE_FLOAT32, GATEWISE_FORGET_GATE, false, false, false, true, false},
    {"bfloat16", 11, 35, 6, 40, 40, 2, GATEWISE_BFLOAT16, GATEWISE_FORGET_GATE, false, false, false, true, false},
    {"all variants", 9, 34, 5, 35, 18, 2, GATEWISE_FLOAT32, GATEWISE_COUPLED, true, true, true, true, true},
    {"1997", 9, 34, 5, 35, 35, 2, GATEWISE_FLOAT32, GATEWISE_NO_FORGET, false, false, true, true, true},
};

// Memory that does not move as more is taken, a multiple of what a vector needs.
class Memory {
 public:
  template <class T = void>
  T *take(int64_t bytes) {
    pieces_.emplace_back((bytes + 63) / 64, Line{});
    return reinterpret_cast<T *>(pieces_.back().data());
  }

  // Numbers of the dtype in -0.5..0.5 that depend only on how much was taken before.
  void *numbers(int64_t count, int32_t dtype) {
    float *wide = take<float>(count * 4);
    for (int64_t i = 0; i < count; ++i) wide[i] = float(random() % 1001) / 1000 - 0.5f;
    if (dtype == GATEWISE_FLOAT32) return wide;
    uint16_t *narrow = take<uint16_t>(count * 2);
    for (int64_t i = 0; i < count; ++i) memcpy(narrow + i, reinterpret_cast<const char *>(wide + i) + 2, 2);
    return narrow;
  }

  uint32_t random() { return (state_ = state_ * 1664525 + 1013904223) >> 8; }

  bool operator==(const Memory &other) const {
    for (size_t i = 0; i < pieces_.size(); ++i)
      if (memcmp(pieces_[i].data(), other.pieces_[i].data(), pieces_[i].size() * sizeof(Line)) != 0) return false;
    return pieces_.size() == other.pieces_.size();
  }

 private:
  struct alignas(64) Line {
    char bytes[64];
  };
  std::deque<std::vector<Line>> pieces_;
  uint32_t state_ = 1;
};

int64_t bytes_of(int32_t dtype) { return dtype == GATEWISE_FLOAT32 ? 4 : 2; }

// What goes into a layer: read by all threads, written by none.
gatewise_layer layer_of(const Case &c, Memory &memory) {
  const int64_t gates = c.forget == GATEWISE_FORGET_GATE ? 4 : 3;
  auto numbers = [&](int64_t count) { return memory.numbers(count, c.dtype); };
  gatewise_layer call = {};
  call.T = c.T, call.B = c.B, call.I = c.I, call.H = c.H, call.P = c.P, call.D = c.D;
  call.dtype = c.dtype, call.forget = c.forget, call.norm = c.norm, call.project = c.project, call.save = 1;
  for (int64_t d = 0; d < c.D; ++d) {
    gatewise_weights &w = call.weights[d];
    w.weight_ih = numbers(gates * c.H * c.I), w.weight_hh = numbers(gates * c.H * c.P);
    w.bias_ih = numbers(gates * c.H), w.bias_hh = numbers(gates * c.H);
    if (c.project) w.weight_hr = numbers(c.P * c.H);
    if (c.peephole) w.weight_peephole = numbers((gates - 1) * c.H);
    if (c.norm) w.gain_ih = numbers(gates * c.H), w.gain_hh = numbers(gates * c.H), w.gain_c = numbers(c.H);
  }
  call.input = {numbers(c.T * c.B * c.I), c.B * c.I, c.I, 1};
  call.h_0 = numbers(c.D * c.B * c.P), call.c_0 = numbers(c.D * c.B * c.H);
  if (c.ragged) {
    int64_t *lengths = memory.take<int64_t>(c.B * 8);
    uint8_t *resets = memory.take<uint8_t>(c.T * c.B);
    for (int64_t b = 0; b < c.B; ++b) lengths[b] = memory.random() % (c.T + 1);
    for (int64_t i = 0; i < c.T * c.B; ++i) resets[i] = i / c.B < lengths[i % c.B] && memory.random() % 5 == 0;
    call.lengths = lengths, call.resets = resets;
  }
  call.keep_h_mean = call.keep_c_mean = 1;
  if (c.masks) {
    call.mask_h = numbers(c.D * c.B * c.P), call.mask_g = numbers(c.D * c.T * c.B * c.H);
    call.keep_h = numbers(c.D * c.T * c.B * c.P), call.keep_c_mean = 0.875f;
  }
  call.d_output = {numbers(c.T * c.B * c.D * c.P), c.B * c.D * c.P, c.D * c.P, 1};
  call.d_h_n = numbers(c.D * c.B * c.P), call.d_c_n = numbers(c.D * c.B * c.H);
  return call;
}

// Forward and backward; everything that comes out is in `results`. False: out of memory.
bool run_layer(gatewise_layer call, const gatewise_functions &functions, int threads, Memory &results) {
  const int64_t size = bytes_of(call.dtype), gates = call.forget == GATEWISE_FORGET_GATE ? 4 : 3;
  call.threads = threads;
  auto like = [&](const void *input, int64_t count) { return input ? results.take(count * size) : nullptr; };
  call.output = results.take(call.T * call.B * call.D * call.P * size);
  call.h_n = results.take(call.D * call.B * call.P * size), call.c_n = results.take(call.D * call.B * call.H * size);
  call.tape = results.take<float>(functions.tape_size(&call) * 4);
  call.d_input = results.take(call.T * call.B * call.I * size);
  call.d_h_0 = results.take(call.D * call.B * call.P * size),
  call.d_c_0 = results.take(call.D * call.B * call.H * size);
  for (int64_t d = 0; d < call.D; ++d) {
    const gatewise_weights &w = call.weights[d];
    call.d_weights[d] = {like(w.weight_ih, gates * call.H * call.I),
                         like(w.weight_hh, gates * call.H * call.P),
                         like(w.bias_ih, gates * call.H),
                         like(w.bias_hh, gates * call.H),
                         like(w.weight_hr, call.P * call.H),
                         like(w.weight_peephole, (gates - 1) * call.H),
                         like(w.gain_ih, gates * call.H),
                         like(w.gain_hh, gates * call.H),
                         like(w.gain_c, call.H)};
  }
  return functions.forward(&call) == 0 && functions.backward(&call) == 0;
}

// Batch normalisation and dropout of a sequence, forward and backward.
gatewise_norm norm_of(const Case &c, Memory &memory) {
  gatewise_norm call = {};
  call.T = c.T, call.B = c.B, call.C = c.H, call.dtype = c.dtype, call.eps = 1e-5f, call.dropped = 20000;
  int64_t *seed = memory.take<int64_t>(8);
  *seed = 7;
  call.seed = seed;
  call.input = {memory.numbers(c.T * c.B * c.H, c.dtype), c.B * c.H, c.H, 1};
  call.d_output = {memory.numbers(c.T * c.B * c.H, c.dtype), c.B * c.H, c.H, 1};
  call.weight = static_cast<float *>(memory.numbers(c.H, GATEWISE_FLOAT32));
  call.bias = static_cast<float *>(memory.numbers(c.H, GATEWISE_FLOAT32));
  return call;
}

bool run_norm(gatewise_norm call, const gatewise_functions &functions, int threads, Memory &results) {
  const int64_t count = call.T * call.B * call.C, size = bytes_of(call.dtype);
  call.threads = threads;
  call.output = {results.take(count * size), call.B * call.C, call.C, 1};
  call.d_input = {results.take(count * size), call.B * call.C, call.C, 1};
  call.moments = results.take<float>(3 * call.C * 4);
  call.d_weight = results.take<float>(call.C * 4), call.d_bias = results.take<float>(call.C * 4);
  void *dropped = results.take(count * size);
  gatewise_dropout dropout = {count, call.dtype, threads, call.dropped, call.seed, call.input.data, dropped};
  functions.dropout(&dropout);
  return functions.norm_forward(&call) == 0 && functions.norm_backward(&call) == 0;
}

// Blocks that all threads take from one place and give back, of which no two may be the same.
bool run_memory(int repeats, const gatewise_functions &, int threads, Memory &) {
  const int64_t count = 1 << 18;
  bool mine = true;
  for (int repeat = 0; repeat < repeats; ++repeat) {
    int32_t *block = static_cast<int32_t *>(gatewise_memory_take(count * 4 * (1 + repeat % 3)));
    if (block == nullptr) return false;
    for (int64_t i = 0; i < count; i += 1024) block[i] = repeat * threads;
    for (int64_t i = 0; i < count; i += 1024) mine = mine && block[i] == repeat * threads;
    gatewise_memory_give(block);
  }
  return mine;
}

// Whether all callers computed what one thread alone computes.
template <class Call, class Run>
bool same(const Call &call, const gatewise_functions &functions, Run run) {
  Memory alone;
  if (!run(call, functions, 1, alone)) return false;
  bool agrees[kCallers] = {};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < kCallers; ++caller)
    callers.emplace_back([&, caller] {
      agrees[caller] = true;
      for (int repeat = 0; repeat < kRepeats; ++repeat) {
        Memory results;
        agrees[caller] = run(call, functions, kWorkers, results) && results == alone && agrees[caller];
      }
    });
  bool all = true;
  for (int caller = 0; caller < kCallers; ++caller) {
    callers[caller].join();
    all = all && agrees[caller];
  }
  return all;
}

}  // namespace

int main() {
  int failures = 0;
  for (int isa = 0; isa < gatewise_isa_count(); ++isa) {
    if (!gatewise_isa_runs(isa)) continue;
    const gatewise_functions &functions = *gatewise_isa_functions(isa);
    for (const Case &c : cases) {
      Memory memory;
      const gatewise_layer layer = layer_of(c, memory);
      const gatewise_norm norm = norm_of(c, memory);
      const bool agrees = same(layer, functions, run_layer) && same(norm, functions, run_norm);
      printf("%-12s %-13s %s\n", gatewise_isa_name(isa), c.name, agrees ? "same bits" : "DIFFERS");
      failures += !agrees;
    }
  }
  const bool agrees = same(50, *gatewise_isa_functions(0), run_memory);
  printf("%-12s %-13s %s\n", "", "memory", agrees ? "its own" : "SHARED");
  return failures != 0 || !agrees;
}
