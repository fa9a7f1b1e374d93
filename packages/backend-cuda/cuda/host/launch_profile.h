// What is submitted to the device, counted and timed: one entry per launch, matrix product or copy, under the operation
// that asked for it.
#pragma once
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "runtime.h"

namespace tunesmith::cuda {

class LaunchProfile {
 public:
  // `timed`: events around each launch, which the device needs a little time for itself.
  LaunchProfile(Runtime& runtime, bool timed) : runtime_(runtime), timed_(timed) {}
  ~LaunchProfile();
  LaunchProfile(const LaunchProfile&) = delete;
  LaunchProfile& operator=(const LaunchProfile&) = delete;

  // Launches from here on belong to it.
  void operation(const std::string& name) { operation_ = name; }
  void begin(const char* kernel, Stream stream);
  void end(Stream stream);

  struct Row {
    std::string operation, kernel;
    size_t launches = 0;
    double milliseconds = 0;
  };
  // Waits for the launches that are under way.
  std::vector<Row> rows();

 private:
  struct Pair {
    Event from, to;
    Row* row;
  };
  void collect();

  Runtime& runtime_;
  bool timed_;
  std::string operation_ = "other";
  std::map<std::pair<std::string, std::string>, Row> rows_;
  // The pairs under way, and events to use again.
  std::vector<Pair> pairs_;
  std::vector<Event> idle_;
};

// The running profile; null when there is none, which is the case outside of measurements.
LaunchProfile*& launchProfile();

// Around everything that is submitted.
class LaunchScope {
 public:
  LaunchScope(const char* kernel, Stream stream) : profile_(launchProfile()), stream_(stream) {
    if (profile_) profile_->begin(kernel, stream);
  }
  ~LaunchScope() {
    if (profile_) profile_->end(stream_);
  }
  LaunchScope(const LaunchScope&) = delete;
  LaunchScope& operator=(const LaunchScope&) = delete;

 private:
  LaunchProfile* profile_;
  Stream stream_;
};

}  // namespace tunesmith::cuda
