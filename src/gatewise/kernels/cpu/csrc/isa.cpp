// Everything, for one instruction set: compiled once for each, with its flags and its name in GATEWISE_ISA.
#include "api.h"
#include "backward.h"
#include "batch_norm.h"
#include "columns.h"
#include "forward.h"
#include "stack.h"

namespace {

thread_local Workspace shared_memory;  // of a call
thread_local Workspace task_memory;    // of one task

template <class Sizes>
struct ForwardCall {
  const Sizes &z;
  RowGroups rows;
  ForwardWeights<Sizes> weights[2];

  void cut(Cutter &cutter) {
    rows.cut(cutter);
    for (long d = 0; d < z.D; ++d) weights[d].cut(cutter, z);
  }
};

template <class Sizes>
struct BackwardCall {
  const Sizes &z;
  RowGroups rows;
  BackwardWeights<Sizes> weights[2];
  Sums<Sizes> *sums;  // [D][groups]
  int32_t *turns;     // [groups][chunks]

  void cut(Cutter &cutter) {
    rows.cut(cutter);
    for (long d = 0; d < z.D; ++d) weights[d].cut(cutter, z);
    turns = cutter.take<int32_t>(z.groups * z.chunks);
    sums = cutter.take<Sums<Sizes>>(z.D * z.groups);
    for (long task = 0; task < z.D * z.groups; ++task) {
      Sums<Sizes> of_task;
      of_task.cut(cutter, z);
      if (cutter.memory != nullptr) sums[task] = of_task;
    }
  }
};

RowGroups row_groups(const gatewise_layer &call, long groups) {
  RowGroups rows = {};
  rows.B = call.B, rows.T = call.T, rows.groups = groups, rows.ragged = call.lengths != nullptr;
  return rows;
}

constexpr int32_t kOutOfMemory = 1;

template <class Sizes>
int32_t forward(const gatewise_layer &call) {
  const Sizes z(call);
  ForwardCall<Sizes> shared{z, row_groups(call, z.groups), {}};
  if (!shared_memory.hold(shared)) return kOutOfMemory;
  shared.rows.fill(call.lengths);
  parallel_for(int(z.D * z.blocks_h), call.threads, [&](int task) {
    const long d = task % z.D;
    shared.weights[d].pack_block(z, call.weights[d], task / z.D);
  });
  int32_t failed = 0;
  parallel_for(int(z.D * z.groups), call.threads, [&](int task) {
    const long d = task % z.D;
    Forward<Sizes> work(call, z, shared.weights[d], d, shared.rows.group(task / z.D));
    if (task_memory.hold(work)) work.run();
    else __atomic_store_n(&failed, kOutOfMemory, __ATOMIC_RELAXED);
  });
  return failed;
}

template <class Sizes>
int32_t backward(const gatewise_layer &call) {
  const Sizes z(call);
  BackwardCall<Sizes> shared{z, row_groups(call, z.groups), {}, nullptr, nullptr};
  if (!shared_memory.hold(shared)) return kOutOfMemory;
  shared.rows.fill(call.lengths);
  for (long i = 0; i < z.groups * z.chunks; ++i) shared.turns[i] = 0;
  parallel_for(int(z.D * BackwardWeights<Sizes>::parts(z)), call.threads, [&](int task) {
    const long d = task % z.D;
    shared.weights[d].pack_part(z, call, d, task / z.D);
  });
  int32_t failed = 0;
  parallel_for(int(z.D * z.groups), call.threads, [&](int task) {
    const long d = task % z.D, group = task / z.D;
    Backward<Sizes> work(call, z, shared.weights[d], d, shared.rows.group(group), shared.sums[d * z.groups + group],
                         shared.turns + group * z.chunks);
    if (task_memory.hold(work)) work.run();
    else __atomic_store_n(&failed, kOutOfMemory, __ATOMIC_RELAXED);
  });
  if (failed) return failed;
  parallel_for(int(z.D * z.blocks_h), call.threads, [&](int task) {
    const long d = task % z.D;
    Sums<Sizes>::write_block(z, shared.sums + d * z.groups, call.d_weights[d], task / z.D);
  });
  return 0;
}

#if defined(__AVX512BF16__)
using Products16 = Pairs;
#else
using Products16 = Floats;
#endif
using Sizes32 = Sizes<float, Floats>;
using Sizes16 = Sizes<bfloat16, Products16>;

int64_t tape_size(const gatewise_layer *call) { return Sizes32(*call).tape_size(); }
int32_t layer_forward(const gatewise_layer *call) {
  return call->dtype == GATEWISE_BFLOAT16 ? forward<Sizes16>(*call) : forward<Sizes32>(*call);
}
int32_t layer_backward(const gatewise_layer *call) {
  return call->dtype == GATEWISE_BFLOAT16 ? backward<Sizes16>(*call) : backward<Sizes32>(*call);
}

void stack_cut(const gatewise_layer *layers, int64_t count, Cutter &cutter) {
  if (layers[0].dtype == GATEWISE_BFLOAT16) Stack<Sizes16>::make(layers, count, cutter);
  else Stack<Sizes32>::make(layers, count, cutter);
}
int64_t stack_bytes(const gatewise_layer *layers, int64_t count) {
  Cutter counter;
  stack_cut(layers, count, counter);
  return counter.used;
}
void stack_make(const gatewise_layer *layers, int64_t count, void *memory) {
  Cutter cutter{static_cast<char *>(memory), 0};
  stack_cut(layers, count, cutter);
}
void stack_step(void *memory, int32_t dtype, const void *input, void *output) {
  if (dtype == GATEWISE_BFLOAT16) static_cast<Stack<Sizes16> *>(memory)->step(input, output);
  else static_cast<Stack<Sizes32> *>(memory)->step(input, output);
}

}  // namespace

#define JOIN(a, b) a##b
#define NAMED(name) JOIN(gatewise_functions_, name)

extern "C" const gatewise_functions NAMED(GATEWISE_ISA) = {
    .lanes = L,
    .bf16_product = Products16::pair == 2,
    .tape_size = tape_size,
    .forward = layer_forward,
    .backward = layer_backward,
    .norm_forward = norm_forward,
    .norm_backward = norm_backward,
    .dropout = run_dropout,
    .stack_bytes = stack_bytes,
    .stack_make = stack_make,
    .stack_step = stack_step,
    .column_sums = column_sums,
};
