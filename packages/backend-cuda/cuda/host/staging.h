// Pinned memory between the host's arrays and the device: filling one of a few slots overlaps the copy of another.
#pragma once
#include <vector>

#include "runtime.h"

namespace tunesmith::cuda {

class Staging {
 public:
  Staging(Runtime& runtime, size_t slots = 4, size_t slotBytes = size_t{8} << 20);
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  struct Upload {
    void* to;
    const void* from;
    size_t bytes;
  };
  // Copies behind what `stream` has to do already; `from` is free again on return. Small arrays share a slot, so that a
  // step's inputs cost one wait for a slot and not one each.
  void upload(const std::vector<Upload>& all, Stream stream);
  void upload(void* to, const void* from, size_t bytes, Stream stream) { upload({{to, from, bytes}}, stream); }
  // Copies and waits.
  void download(void* to, const void* from, size_t bytes, Stream stream);

 private:
  struct Slot {
    void* memory = nullptr;
    Event event = nullptr;
    bool busy = false;
  };
  Slot& next();
  void refuseInCapture(const char* what) const;

  Runtime& runtime_;
  size_t slotBytes_, turn_ = 0;
  std::vector<Slot> slots_;
};

}  // namespace tunesmith::cuda
