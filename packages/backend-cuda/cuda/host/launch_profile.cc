#include "launch_profile.h"

namespace tunesmith::cuda {

// Events under way at once: more would make the driver keep more of them than it likes.
constexpr size_t kPairs = 4096;

LaunchProfile*& launchProfile() {
  static LaunchProfile* running = nullptr;
  return running;
}

LaunchProfile::~LaunchProfile() {
  for (const Pair& p : pairs_) idle_.insert(idle_.end(), {p.from, p.to});
  for (Event event : idle_) runtime_.destroyEvent(event);
}

void LaunchProfile::begin(const char* kernel, Stream stream) {
  Row& row = rows_[{operation_, kernel}];
  if (row.launches++ == 0) {
    row.operation = operation_;
    row.kernel = kernel;
  }
  // A captured launch runs later, with all of its step.
  if (!timed_ || runtime_.capturing()) return;
  if (pairs_.size() >= kPairs) collect();
  const auto next = [&] {
    if (idle_.empty()) return runtime_.createEvent(true);
    Event event = idle_.back();
    idle_.pop_back();
    return event;
  };
  pairs_.push_back({next(), next(), &row});
  runtime_.record(pairs_.back().from, stream);
}

void LaunchProfile::end(Stream stream) {
  if (timed_ && !pairs_.empty() && !runtime_.capturing()) runtime_.record(pairs_.back().to, stream);
}

void LaunchProfile::collect() {
  for (const Pair& p : pairs_) {
    runtime_.waitFor(p.to);
    p.row->milliseconds += runtime_.milliseconds(p.from, p.to);
    idle_.insert(idle_.end(), {p.from, p.to});
  }
  pairs_.clear();
}

std::vector<LaunchProfile::Row> LaunchProfile::rows() {
  collect();
  std::vector<Row> all;
  for (const auto& [key, row] : rows_) all.push_back(row);
  return all;
}

}  // namespace tunesmith::cuda
