// A caching allocator in the order of streams.
//
// Memory that is given back serves the next request on the same stream at once: the stream runs the old use before the
// new one; where another stream used it as well, the memory's stream must have been made to wait for that. Blocks go
// back to the driver only when it has no more. When that is not enough, `onShortage` is asked.
//
// A captured graph runs again in the memory that it was captured with. While a pool is open, memory comes from it: what
// is given back meanwhile serves the pool's next request, and all of it stays reserved, and counted as live, until the
// pool is closed.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "runtime.h"

namespace tunesmith::cuda {

// Smaller than this, sizes are rounded so that an eighth is wasted at most; from here on to multiples of 64 KiB.
constexpr size_t kLargeBytes = size_t{1} << 20;
size_t roundedSize(size_t bytes);
// What optimizers keep is counted under this name; the error for a full device has advice about it.
constexpr const char* kOptimizerState = "optimizer state";

struct MemoryUse {
  size_t live = 0, cached = 0, peak = 0;
};

class Allocator {
 public:
  // `poison`: memory is handed out full of NaN, to find what is read before it was written. For tests.
  explicit Allocator(Runtime& runtime, bool poison = false) : runtime_(runtime), poison_(poison) {}
  ~Allocator();
  Allocator(const Allocator&) = delete;
  Allocator& operator=(const Allocator&) = delete;

  // A number for the name under which memory is counted.
  int label(const std::string& name);
  // Uninitialised memory for work on `stream`. Throws Failure("out_of_memory") with the largest consumers.
  void* allocate(size_t bytes, Stream stream, int label = 0);
  void release(void* pointer);
  int labelOf(const void* pointer) const { return live_.at(const_cast<void*>(pointer)).label; }
  void setLabel(void* pointer, int label);
  // Gives all unused memory back to the driver; waits for streams that still use some.
  void trim();

  // Asked for so many bytes when there is no memory: gives some back and says so, or false when it has none to give.
  std::function<bool(size_t)> onShortage;
  // Told of memory that is given back, while it is still known.
  std::function<void(const void*)> onRelease;
  // From now on memory for `stream` comes from a pool of its own. The driver never has to wait meanwhile.
  int openPool(Stream stream);
  // Ends that; the pool's memory stays reserved.
  void sealPool();
  // Its memory is for everyone again: what is in use as soon as it is given back.
  void closePool(int pool);
  // Blocks of the pool that are in use.
  size_t usedOf(int pool) const;
  // True for memory of a pool that is not closed.
  bool inPool(const void* pointer) const;

  MemoryUse use() const { return use_; }
  void resetPeak() {
    use_.peak = use_.live;
    atPeak_ = true;
  }
  // Names, bytes and counts of live memory, most bytes first.
  struct Consumer {
    std::string name;
    size_t bytes = 0, count = 0;
  };
  std::vector<Consumer> consumers() const { return named(tally_); }
  // The same at the moment of the peak.
  std::vector<Consumer> peakConsumers() const { return named(atPeak_ ? tally_ : peakTally_); }

 private:
  struct Block {
    size_t size = 0;
    Stream stream = nullptr;
    int label = 0;
    int pool = 0;  // 0: none
  };
  struct Pool {
    Stream stream = nullptr;
    std::multimap<size_t, void*> free;
  };
  // Bytes and counts by label.
  struct Share {
    size_t bytes = 0, count = 0;
  };
  std::vector<Consumer> named(const std::vector<Share>& tally) const;
  void count(int label, size_t bytes, bool more);
  // Comes before the tally falls.
  void keepPeak();
  // Gives unused memory of so many bytes back to the driver in as few blocks as can be: the smallest that is enough, or
  // the largest there are. False when there is none.
  bool giveBack(size_t bytes);
  void* fromDevice(size_t size, Stream stream);
  void* fromCache(size_t size, std::multimap<size_t, void*>& blocks, Stream stream);
  void* fromStream(size_t size, Stream stream);
  void* fromPool(size_t size, Stream stream);
  [[noreturn]] void fail(size_t size, int label);

  Runtime& runtime_;
  bool poison_;
  std::unordered_map<void*, Block> live_;
  std::map<Stream, std::multimap<size_t, void*>> free_;
  std::map<int, Pool> pools_;
  int open_ = 0, nextPool_ = 1;
  std::vector<std::string> labels_ = {"other", "captured steps"};
  MemoryUse use_;
  std::vector<Share> tally_ = std::vector<Share>(2), peakTally_;
  // The tally now is that of the peak; it is copied only when something is given back.
  bool atPeak_ = true;
};

}  // namespace tunesmith::cuda
