// Large blocks of memory that are kept when they are freed, for the next step of training to take again.
//
// A fresh block comes as pages that the system fills with zeros when they are first touched, which costs about as long
// as the arithmetic on them. Blocks are given back to the system when there is more of them than was lately in use.
#include "api.h"

#include <cstdlib>
#include <mutex>
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace {

constexpr int64_t kHugePage = 2 << 20;  // bytes; blocks start at and are multiples of it

struct Block {
  void *memory;
  int64_t bytes;
  Block *next;
};

class Pool {
 public:
  void *take(int64_t wanted) {
    const int64_t bytes = (wanted + kHugePage - 1) / kHugePage * kHugePage;
    std::lock_guard<std::mutex> guard(lock_);
    if (++takes_ % kWindow == 0) before_ = now_, now_ = in_use_;
    Block *block = find(bytes);
    if (block == nullptr) block = make(bytes);
    if (block == nullptr) return nullptr;
    in_use_ += block->bytes;
    if (in_use_ > now_) now_ = in_use_;
    block->next = used_;
    used_ = block;
    return block->memory;
  }

  void give(void *memory) {
    std::lock_guard<std::mutex> guard(lock_);
    for (Block **at = &used_; *at != nullptr; at = &(*at)->next) {
      Block *block = *at;
      if (block->memory != memory) continue;
      *at = block->next;
      in_use_ -= block->bytes;
      kept_bytes_ += block->bytes;
      block->next = kept_;
      kept_ = block;
      trim(limit());
      return;
    }
  }

  void lock() { lock_.lock(); }
  void unlock() { lock_.unlock(); }

  int64_t held() {
    std::lock_guard<std::mutex> guard(lock_);
    return in_use_ + kept_bytes_;
  }

 private:
  static constexpr int64_t kWindow = 512;  // takes after which what was in use is forgotten, in the next window

  std::mutex lock_;
  Block *used_ = nullptr, *kept_ = nullptr;  // the latest given first
  int64_t in_use_ = 0, kept_bytes_ = 0;
  int64_t takes_ = 0, now_ = 0, before_ = 0;  // the most in use in this window and the one before

  int64_t limit() const { return (now_ > before_ ? now_ : before_) / 4 * 5; }

  // The smallest kept block that is large enough and not more than twice as large.
  Block *find(int64_t bytes) {
    Block **best = nullptr;
    for (Block **at = &kept_; *at != nullptr; at = &(*at)->next)
      if ((*at)->bytes >= bytes && (*at)->bytes <= 2 * bytes && (best == nullptr || (*at)->bytes < (*best)->bytes))
        best = at;
    if (best == nullptr) return nullptr;
    Block *block = *best;
    *best = block->next;
    kept_bytes_ -= block->bytes;
    return block;
  }

  Block *make(int64_t bytes) {
    const int64_t most = limit() > in_use_ + bytes ? limit() : in_use_ + bytes;
    trim(most - bytes);
    Block *block = static_cast<Block *>(malloc(sizeof(Block)));
    void *memory = block == nullptr ? nullptr : aligned_alloc(kHugePage, bytes);
    if (memory == nullptr) {
      free(block);
      return nullptr;
    }
#if defined(MADV_HUGEPAGE)
    madvise(memory, bytes, MADV_HUGEPAGE);  // fewer, larger pages; not every system has them
#endif
    *block = {memory, bytes, nullptr};
    return block;
  }

  // Frees kept blocks, the oldest first, until no more than `most` bytes are held.
  void trim(int64_t most) {
    while (kept_ != nullptr && in_use_ + kept_bytes_ > most) {
      Block **last = &kept_;
      while ((*last)->next != nullptr) last = &(*last)->next;
      kept_bytes_ -= (*last)->bytes;
      free((*last)->memory);
      free(*last);
      *last = nullptr;
    }
  }
};

Pool &pool() {
  static Pool *const the_pool = new Pool;  // never destroyed: tensors may outlive everything else
#if defined(__unix__) || defined(__APPLE__)
  // A process that is forked while another thread is in here must not find the door locked for ever.
  static const int registered = pthread_atfork([] { pool().lock(); }, [] { pool().unlock(); }, [] { pool().unlock(); });
  (void)registered;
#endif
  return *the_pool;
}

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

// `bytes` of memory that starts at a page; NULL: there is not so much. To be given back by gatewise_memory_give.
EXPORT void *gatewise_memory_take(int64_t bytes) { return pool().take(bytes); }
EXPORT void gatewise_memory_give(void *memory) { pool().give(memory); }

// Bytes taken from the system, in use or kept.
EXPORT int64_t gatewise_memory_held() { return pool().held(); }
