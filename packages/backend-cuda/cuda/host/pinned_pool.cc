#include "pinned_pool.h"

#include "allocator.h"

namespace tunesmith::cuda {

PinnedPool::~PinnedPool() {
  for (auto& [memory, bytes] : sizes_) runtime_.releasePinned(memory);
}

void* PinnedPool::take(size_t bytes) {
  const size_t size = roundedSize(bytes);
  const auto at = free_.lower_bound(size);
  if (at != free_.end() && at->first <= size + size / 8) {
    void* memory = at->second;
    free_.erase(at);
    return memory;
  }
  void* memory = runtime_.allocatePinned(size);
  if (!memory && !free_.empty()) {
    trim();
    memory = runtime_.allocatePinned(size);
  }
  if (!memory) return nullptr;
  sizes_[memory] = size;
  bytes_ += size;
  return memory;
}

void PinnedPool::give(void* memory) { free_.emplace(sizes_.at(memory), memory); }

void PinnedPool::trim() {
  if (free_.empty()) return;
  runtime_.synchronize(copies_);
  for (auto& [size, memory] : free_) {
    runtime_.releasePinned(memory);
    sizes_.erase(memory);
    bytes_ -= size;
  }
  free_.clear();
}

}  // namespace tunesmith::cuda
