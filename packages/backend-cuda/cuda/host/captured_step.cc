#include "captured_step.h"

#include "failure.h"
#include "launch_profile.h"

namespace tunesmith::cuda {

CapturedStep::CapturedStep(Runtime& runtime, Allocator& allocator, Stream stream)
    : runtime_(runtime), allocator_(allocator), stream_(stream) {
  runtime_.beginCapture(stream_);
  try {
    pool_ = allocator_.openPool(stream_);
  } catch (...) {
    runtime_.abandonCapture(stream_);
    throw;
  }
}

CapturedStep::~CapturedStep() {
  if (capturing_) {
    runtime_.abandonCapture(stream_);
  } else if (graph_) {
    try {
      runtime_.synchronize(stream_);
    } catch (...) {
      // Whoever wanted the results was told already.
    }
    runtime_.destroyGraph(graph_);
  }
  allocator_.closePool(pool_);
}

void CapturedStep::require(const std::string& key, const std::vector<CheckedInts>& ints, Check check) {
  std::string full = key;
  for (const CheckedInts& i : ints) full += ' ' + std::to_string(reinterpret_cast<uintptr_t>(i.device));
  // Every layer asks for the same.
  if (!keys_.insert(full).second) return;
  Requirement requirement;
  requirement.check = std::move(check);
  for (const CheckedInts& i : ints) {
    requirement.device.push_back(i.device);
    if (i.device) values_[i.device].assign(i.host, i.host + i.count);
  }
  requirements_.push_back(std::move(requirement));
}

void CapturedStep::finish(size_t outputs) {
  capturing_ = false;
  allocator_.sealPool();
  graph_ = runtime_.endCapture(stream_);
  if (broken_) throw Failure("backend", "memory that the captured step uses was given back");
  if (allocator_.usedOf(pool_) != outputs) throw Failure("backend", "memory of the captured step outlives it");
}

void CapturedStep::released(const void* memory) {
  if (uses_.count(memory) && !allocator_.inPool(memory)) broken_ = true;
}

void CapturedStep::assign(const int32_t* device, const int32_t* host, int64_t count) {
  const auto at = values_.find(device);
  if (at != values_.end()) at->second.assign(host, host + count);
}

void CapturedStep::check() const {
  if (!graph_) throw Failure("backend", "the step was not captured");
  std::vector<const int32_t*> host;
  for (const Requirement& r : requirements_) {
    host.clear();
    for (const int32_t* device : r.device) host.push_back(device ? values_.at(device).data() : nullptr);
    r.check(host);
  }
}

void CapturedStep::launch() {
  const LaunchScope scope("captured step", stream_);
  runtime_.launchGraph(graph_, stream_);
}

}  // namespace tunesmith::cuda
