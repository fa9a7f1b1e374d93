// A persistent pool: workers spin briefly for the next job, then sleep. Indices are handed out one by one, so that a
// slow core does less; results never depend on who computed what.
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#endif

#include "common.h"

namespace tunesmith {
namespace {

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

struct Job {
  Body body;
  void* context;
  int64_t count;
  std::atomic<int64_t> next{0};
  std::atomic<int> active{0};
  void work() {
    for (int64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) body(context, i);
  }
};

struct Pool {
  std::mutex callers;  // one parallelFor at a time; a second Node thread computes alone
  std::mutex mutex;
  std::condition_variable wake;  // a new job
  std::condition_variable idle;  // a job's last worker is done
  std::atomic<uint64_t> generation{0};
  Job* job = nullptr;
  std::atomic<int> wanted{defaultThreadCount()};
  int started = 1;

  void grow() {
    for (; started < wanted; started++) {
      const int index = started;
      std::thread([this, index] { serve(index); }).detach();
    }
  }

  void serve(int index) {
    uint64_t seen = 0;
    for (;;) {
      for (int i = 0; i < 2000 && generation.load(std::memory_order_acquire) == seen; i++) pause();
      Job* mine = nullptr;
      {
        std::unique_lock<std::mutex> lock(mutex);
        wake.wait(lock, [&] { return generation.load(std::memory_order_relaxed) != seen; });
        seen = generation.load(std::memory_order_relaxed);
        if (job && index < wanted) {
          mine = job;
          mine->active.fetch_add(1, std::memory_order_relaxed);
        }
      }
      if (!mine) continue;
      mine->work();
      // The job may be gone as soon as the count is down; the pool is not.
      if (mine->active.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        std::lock_guard<std::mutex> lock(mutex);
        idle.notify_all();
      }
    }
  }

  void run(Job& next) {
    {
      std::lock_guard<std::mutex> lock(mutex);
      grow();
      job = &next;
      generation.fetch_add(1, std::memory_order_release);
    }
    wake.notify_all();
    next.work();
    {
      std::lock_guard<std::mutex> lock(mutex);
      job = nullptr;  // a worker that wakes now finds nothing to do
    }
    const auto done = [&] { return next.active.load(std::memory_order_acquire) == 0; };
    for (int spins = 0; spins < 4000 && !done(); spins++) pause();
    if (done()) return;
    std::unique_lock<std::mutex> lock(mutex);
    idle.wait(lock, done);
  }
};

// Never destroyed: workers may still sleep in it when the process ends.
Pool& pool() {
  static Pool* instance = new Pool;
  return *instance;
}

thread_local bool inside = false;

}  // namespace

void parallelFor(int64_t count, Body body, void* context) {
  Pool& p = pool();
  if (count > 1 && p.wanted > 1 && !inside) {
    std::unique_lock<std::mutex> lock(p.callers, std::try_to_lock);
    if (lock.owns_lock()) {
      inside = true;
      Job job;
      job.body = body;
      job.context = context;
      job.count = count;
      p.run(job);
      inside = false;
      return;
    }
  }
  for (int64_t i = 0; i < count; i++) body(context, i);
}

int threadCount() { return pool().wanted.load(); }

void setThreadCount(int threads) {
  Pool& p = pool();
  std::lock_guard<std::mutex> callers(p.callers);
  std::lock_guard<std::mutex> lock(p.mutex);
  p.wanted = threads < 1 ? 1 : threads > 512 ? 512 : threads;
}

// Physical cores this process may run on: a second hyperthread adds nothing to a full vector unit.
int defaultThreadCount() {
  if (const char* text = std::getenv("TUNESMITH_THREADS")) {
    const int n = std::atoi(text);
    if (n > 0) return n > 512 ? 512 : n;
  }
#if defined(__linux__)
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof mask, &mask) == 0) {
    std::set<std::string> cores;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
      if (!CPU_ISSET(cpu, &mask)) continue;
      std::ifstream file("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list");
      std::string siblings;
      cores.insert(std::getline(file, siblings) ? siblings : "cpu" + std::to_string(cpu));
    }
    if (!cores.empty()) return static_cast<int>(cores.size());
  }
#endif
  const unsigned n = std::thread::hardware_concurrency();
  return n ? static_cast<int>(n) : 1;
}

}  // namespace tunesmith
