// A stack of layers that takes one time step after another: everything is laid out once, and a step only computes.
#pragma once

#include <new>

#include "forward.h"

namespace {

// One layer of it, in one direction. Parts point to each other, so it never moves.
template <class Sizes>
struct StackLayer {
  StackLayer(const gatewise_layer &layer, Cutter &cutter)
      : call(layer), z(call), rows{0, nullptr, nullptr, nullptr}, weights(), pass(prepare(cutter)) {
    pass.cut(cutter);
    if (cutter.memory == nullptr) return;
    for (long j = 0; j < z.blocks_h; ++j) weights.pack_block(z, call.weights[0], j);
  }

  gatewise_layer call;
  Sizes z;
  Rows rows;
  ForwardWeights<Sizes> weights;
  Forward<Sizes> pass;

 private:
  Forward<Sizes> prepare(Cutter &cutter) {
    weights.cut(cutter, z);
    int32_t *at = cutter.take<int32_t>(z.B), *length = cutter.take<int32_t>(z.B);
    call.output = cutter.take<typename Sizes::Storage>(z.B * z.P);
    if (cutter.memory != nullptr)
      for (long b = 0; b < z.B; ++b) at[b] = int32_t(b), length[b] = 1;
    rows = {z.B, at, length, nullptr};
    return Forward<Sizes>(call, z, weights, 0, rows);
  }
};

template <class Sizes>
struct Stack {
  // Without memory, only counts.
  static void make(const gatewise_layer *layers, int64_t count, Cutter &cutter) {
    Stack *stack = cutter.take<Stack>(1);
    auto *made = cutter.take<StackLayer<Sizes>>(count);
    for (int64_t i = 0; i < count; ++i) {
      gatewise_layer call = layers[i];
      if (cutter.memory == nullptr) {
        StackLayer<Sizes> counted(call, cutter);
        continue;
      }
      if (i > 0) {
        const int64_t size = made[i - 1].z.P;
        call.input = {made[i - 1].call.output, call.B * size, size, 1};
      }
      new (made + i) StackLayer<Sizes>(call, cutter);
    }
    if (cutter.memory != nullptr) *stack = {made, count};
  }

  void step(const void *input, void *output) {
    layers[0].call.input.data = const_cast<void *>(input);
    for (int64_t i = 0; i < count; ++i) layers[i].pass.run();
    const auto &last = layers[count - 1];
    memcpy(output, last.call.output, last.z.B * last.z.P * sizeof(typename Sizes::Storage));
  }

  StackLayer<Sizes> *layers;
  int64_t count;
};

}  // namespace
