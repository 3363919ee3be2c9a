// Memory that a thread keeps from call to call: fresh pages would cost as much as the arithmetic on them.
#pragma once

#include <cstdint>
#include <cstdlib>

namespace {

// Cuts one piece of memory into arrays. Without memory it only counts what would be needed.
struct Cutter {
  char *memory = nullptr;
  int64_t used = 0;

  template <class T>
  T *take(int64_t count) {
    constexpr int64_t line = 64;  // bytes of a cache line, and of the widest vector
    T *taken = reinterpret_cast<T *>(memory + used);
    used += (count * int64_t(sizeof(T)) + line - 1) / line * line;
    return taken;
  }
};

class Workspace {
  static constexpr int64_t kLarge = 64 << 20;  // bytes that are not kept for a call which needs far less

 public:
  Workspace() = default;
  Workspace(const Workspace &) = delete;
  ~Workspace() { free(memory_); }

  // Cuts `arrays` out of memory that is large enough: `arrays` has a member cut(Cutter &). False: there is too little.
  template <class Arrays>
  bool hold(Arrays &arrays) {
    Cutter counter;
    arrays.cut(counter);
    const bool far_too_large = capacity_ > kLarge && counter.used < capacity_ / 4;
    if (counter.used > capacity_ || far_too_large) {
      free(memory_);
      capacity_ = (counter.used + 4095) / 4096 * 4096;
      memory_ = static_cast<char *>(aligned_alloc(4096, capacity_));
      if (memory_ == nullptr) {
        capacity_ = 0;
        return false;
      }
    }
    Cutter cutter{memory_, 0};
    arrays.cut(cutter);
    return true;
  }

 private:
  char *memory_ = nullptr;
  int64_t capacity_ = 0;
};

}  // namespace
