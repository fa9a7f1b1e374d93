#include "staging.h"

#include <algorithm>
#include <cstring>

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
  size_t total = 0;
  for (const Upload& u : all) total += (u.bytes + 15) / 16 * 16;
  if (total > slotBytes_) {
    for (const Upload& u : all) upload(u.to, u.from, u.bytes, stream);
    return;
  }
  Slot& s = next();
  size_t at = 0;
  for (const Upload& u : all) {
    std::memcpy(static_cast<char*>(s.memory) + at, u.from, u.bytes);
    runtime_.copyToDevice(u.to, static_cast<char*>(s.memory) + at, u.bytes, stream);
    at += (u.bytes + 15) / 16 * 16;
  }
  runtime_.record(s.event, stream);
  s.busy = true;
}

void Staging::upload(void* to, const void* from, size_t bytes, Stream stream) {
  refuseInCapture("values go to the GPU");
  for (size_t at = 0; at < bytes; at += slotBytes_) {
    Slot& s = next();
    const size_t some = std::min(slotBytes_, bytes - at);
    std::memcpy(s.memory, static_cast<const char*>(from) + at, some);
    const LaunchScope scope("copyToDevice", stream);
    runtime_.copyToDevice(static_cast<char*>(to) + at, s.memory, some, stream);
    runtime_.record(s.event, stream);
    s.busy = true;
  }
}

void Staging::download(void* to, const void* from, size_t bytes, Stream stream) {
  refuseInCapture("values come from the GPU");
  // One slot ahead: the device fills the next while this thread empties the last.
  struct Part {
    Slot* slot;
    size_t at, bytes;
  };
  std::vector<Part> parts;
  const auto empty = [&](const Part& p) {
    runtime_.waitFor(p.slot->event);
    std::memcpy(static_cast<char*>(to) + p.at, p.slot->memory, p.bytes);
    p.slot->busy = false;
  };
  for (size_t at = 0; at < bytes; at += slotBytes_) {
    if (parts.size() >= slots_.size()) empty(parts[parts.size() - slots_.size()]);
    Slot& s = next();
    const size_t some = std::min(slotBytes_, bytes - at);
    const LaunchScope scope("copyToHost", stream);
    runtime_.copyToHost(s.memory, static_cast<const char*>(from) + at, some, stream);
    runtime_.record(s.event, stream);
    parts.push_back({&s, at, some});
  }
  for (size_t i = parts.size() > slots_.size() ? parts.size() - slots_.size() : 0; i < parts.size(); i++)
    empty(parts[i]);
  // Says so when any kernel before the copy failed.
  runtime_.synchronize(stream);
}

}  // namespace tunesmith::cuda
