// Pinned host memory for what was moved off the device. Asking the driver for it takes long and stops the device, so
// that what is given back serves the next request.
#pragma once
#include <map>
#include <unordered_map>

#include "runtime.h"

namespace tunesmith::cuda {

class PinnedPool {
 public:
  // All copies from and to the memory run on `copies`, in order: what is given back may still be read or written by
  // those that were submitted before.
  PinnedPool(Runtime& runtime, Stream copies) : runtime_(runtime), copies_(copies) {}
  ~PinnedPool();
  PinnedPool(const PinnedPool&) = delete;
  PinnedPool& operator=(const PinnedPool&) = delete;

  // nullptr when the host has no more.
  void* take(size_t bytes);
  void give(void* memory);
  // Gives unused memory back; waits for the copies.
  void trim();
  // Held in all, in use or not.
  size_t bytes() const { return bytes_; }

 private:
  Runtime& runtime_;
  Stream copies_;
  std::multimap<size_t, void*> free_;
  std::unordered_map<void*, size_t> sizes_;
  size_t bytes_ = 0;
};

}  // namespace tunesmith::cuda
