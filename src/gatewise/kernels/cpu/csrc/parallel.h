// Work for several threads: independent tasks, handed out one by one.
#pragma once

#if defined(GATEWISE_STD_THREADS)  // for ThreadSanitizer, which does not see how OpenMP synchronises
#include <atomic>
#include <thread>
#endif

namespace {

// Calls f(task) for every task in 0..tasks-1, on at most `threads` threads. Which thread runs which task is left open,
// so results must not depend on it. By OpenMP, whose threads torch uses as well: there is one pool in the process.
template <class F>
void parallel_for(int tasks, int threads, const F &f) {
#if defined(GATEWISE_STD_THREADS)
  std::atomic<int> next{0};
  auto work = [&] {
    for (int task = next++; task < tasks; task = next++) f(task);
  };
  std::thread others[64];
  const int count = (threads < tasks ? threads : tasks) - 1;
  for (int i = 0; i < count && i < 64; ++i) others[i] = std::thread(work);
  work();
  for (int i = 0; i < count && i < 64; ++i) others[i].join();
#else
  if (threads <= 1 || tasks <= 1) {
    for (int task = 0; task < tasks; ++task) f(task);
    return;
  }
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads < tasks ? threads : tasks)
  for (int task = 0; task < tasks; ++task) f(task);
#endif
}

}  // namespace
