// The graph of streams: which stream has to wait for which, and which waits are already implied.
//
// Each stream counts its submissions; for each pair the latest submission of the one that the other is known to come
// after is remembered (a vector clock), so that a wait that another wait implies costs nothing.
#pragma once
#include <vector>

#include "runtime.h"

namespace tunesmith::cuda {

class StreamOrder {
 public:
  explicit StreamOrder(Runtime& runtime) : runtime_(runtime) {}
  ~StreamOrder();
  StreamOrder(const StreamOrder&) = delete;
  StreamOrder& operator=(const StreamOrder&) = delete;

  // A new stream of the device.
  int add();
  Stream stream(int id) const { return nodes_[static_cast<size_t>(id)].stream; }
  // Work was submitted to the stream.
  void submitted(int id) { nodes_[static_cast<size_t>(id)].clock[static_cast<size_t>(id)]++; }
  // What comes next on `waiter` runs after all that was submitted to `producer`. True when a wait was really needed.
  bool waitFor(int waiter, int producer);

 private:
  struct Node {
    Stream stream = nullptr;
    Event event = nullptr;
    std::vector<uint64_t> clock;
  };
  Runtime& runtime_;
  std::vector<Node> nodes_;
};

}  // namespace tunesmith::cuda
