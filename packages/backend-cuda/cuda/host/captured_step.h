// A step that was captured once and runs again with one call: its graph, its memory, and what must hold before it runs.
#pragma once
#include <functional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "allocator.h"
#include "runtime.h"

namespace tunesmith::cuda {

// Integers on the device whose values the host has checked.
struct CheckedInts {
  const int32_t* device = nullptr;
  const int32_t* host = nullptr;
  int64_t count = 0;
};

class CapturedStep {
 public:
  // Begins the capture. Memory for `stream` comes from the step's own pool until `finish` or the end of the object.
  CapturedStep(Runtime& runtime, Allocator& allocator, Stream stream);
  ~CapturedStep();
  CapturedStep(const CapturedStep&) = delete;
  CapturedStep& operator=(const CapturedStep&) = delete;

  // ---- while it is captured ----
  // The step reads or writes this memory.
  void uses(const void* memory) { uses_.insert(memory); }
  // A check that was passed and must pass before each launch, with the values these integers then have. It throws.
  using Check = std::function<void(const std::vector<const int32_t*>& host)>;
  void require(const std::string& key, const std::vector<CheckedInts>& ints, Check check);
  // Ends the capture. `outputs`: how many blocks of its memory are read after it; any other that is still in use would
  // hold what only a launch computes. Throws Failure when the step cannot be captured.
  void finish(size_t outputs);

  // ---- at any time ----
  // This memory is given back: a step that uses it must not run again.
  void released(const void* memory);

  // ---- after that ----
  // The device has these values now, as far as the step's checks look at them.
  void assign(const int32_t* device, const int32_t* host, int64_t count);
  // False when memory that it uses was given back: it must not run again.
  bool intact() const { return !broken_; }
  // Throws Failure when a check fails.
  void check() const;
  void launch();

 private:
  struct Requirement {
    std::vector<const int32_t*> device;
    Check check;
  };
  Runtime& runtime_;
  Allocator& allocator_;
  Stream stream_;
  int pool_ = 0;
  bool capturing_ = true;
  Graph graph_ = nullptr;
  bool broken_ = false;
  std::unordered_set<const void*> uses_;
  std::set<std::string> keys_;
  std::vector<Requirement> requirements_;
  std::unordered_map<const int32_t*, std::vector<int32_t>> values_;
};

}  // namespace tunesmith::cuda
