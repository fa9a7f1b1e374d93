#include "staging.h"

#include <algorithm>
#include <cstring>
#include <deque>

#include "failure.h"
#include "launch_profile.h"

namespace tunesmith::cuda {

Staging::Staging(Runtime& runtime, size_t slots, size_t slotBytes)
    : runtime_(runtime), slotBytes_(slotBytes), slots_(slots) {}

Staging::~Staging() {
  for (Slot& s : slots_) {
    try {
      if (s.busy) runtime_.waitFor(s.event);
    } catch (const std::exception&) {
      // A device that failed: whoever waited for it was told.
    }
    if (s.event) runtime_.destroyEvent(s.event);
    if (s.memory) runtime_.releasePinned(s.memory);
  }
}

Staging::Slot& Staging::next() {
  Slot& s = slots_[turn_++ % slots_.size()];
  if (!s.memory) {
    s.memory = runtime_.allocatePinned(slotBytes_);
    if (!s.memory)
      throw Failure("out_of_memory", "No pinned host memory for copies to the GPU",
          "End other programs, or raise the limit of locked memory (ulimit -l)");
    s.event = runtime_.createEvent();
  }
  if (s.busy) runtime_.waitFor(s.event);
  s.busy = false;
  return s;
}

void Staging::refuseInCapture(const char* what) const {
  if (runtime_.capturing()) throw Failure("backend", std::string(what) + ", which a captured step cannot repeat");
}

void Staging::upload(const std::vector<Upload>& all, Stream stream) {
  refuseInCapture("values go to the GPU");
  Slot* slot = nullptr;
  size_t used = 0;
  const auto close = [&] {
    runtime_.record(slot->event, stream);
    slot->busy = true;
    slot = nullptr;
  };
  for (const Upload& u : all)
    for (size_t at = 0, some = 0; at < u.bytes; at += some) {
      if (!slot) {
        slot = &next();
        used = 0;
      }
      some = std::min(slotBytes_ - used, u.bytes - at);
      char* pinned = static_cast<char*>(slot->memory) + used;
      std::memcpy(pinned, static_cast<const char*>(u.from) + at, some);
      const LaunchScope scope("copyToDevice", stream);
      runtime_.copyToDevice(static_cast<char*>(u.to) + at, pinned, some, stream);
      used += (some + 15) / 16 * 16;
      if (used >= slotBytes_) close();
    }
  if (slot) close();
}

void Staging::download(void* to, const void* from, size_t bytes, Stream stream) {
  refuseInCapture("values come from the GPU");
  // The device fills the next slots while this thread empties the last.
  struct Part {
    Slot* slot;
    size_t at, bytes;
  };
  std::deque<Part> parts;
  const auto emptyFirst = [&] {
    const Part p = parts.front();
    parts.pop_front();
    runtime_.waitFor(p.slot->event);
    std::memcpy(static_cast<char*>(to) + p.at, p.slot->memory, p.bytes);
  };
  for (size_t at = 0; at < bytes; at += slotBytes_) {
    if (parts.size() == slots_.size()) emptyFirst();
    Slot& s = next();
    const size_t some = std::min(slotBytes_, bytes - at);
    const LaunchScope scope("copyToHost", stream);
    runtime_.copyToHost(s.memory, static_cast<const char*>(from) + at, some, stream);
    runtime_.record(s.event, stream);
    parts.push_back({&s, at, some});
  }
  while (!parts.empty()) emptyFirst();
  // Says so when any kernel before the copy failed.
  runtime_.synchronize(stream);
}

}  // namespace tunesmith::cuda
