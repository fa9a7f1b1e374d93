#include "stream_order.h"

#include <algorithm>

namespace tunesmith {
namespace cuda {

StreamOrder::~StreamOrder() {
  for (Node& n : nodes_)
    if (n.event) runtime_.destroyEvent(n.event);
}

int StreamOrder::add(const std::string& name) {
  Node node;
  node.name = name;
  node.stream = runtime_.createStream();
  nodes_.push_back(node);
  for (Node& n : nodes_) n.clock.resize(nodes_.size(), 0);
  return static_cast<int>(nodes_.size()) - 1;
}

bool StreamOrder::waitFor(int waiter, int producer) {
  Node &w = nodes_[static_cast<size_t>(waiter)], &p = nodes_[static_cast<size_t>(producer)];
  const size_t at = static_cast<size_t>(producer);
  if (waiter == producer || w.clock[at] >= p.clock[at]) return false;
  if (!p.event) p.event = runtime_.createEvent();
  runtime_.record(p.event, p.stream);
  runtime_.streamWaits(w.stream, p.event);
  for (size_t i = 0; i < w.clock.size(); i++) w.clock[i] = std::max(w.clock[i], p.clock[i]);
  history_.push_back(w.name + " waits for " + p.name + " at " + std::to_string(p.clock[at]));
  if (history_.size() > 64) history_.erase(history_.begin());
  return true;
}

}  // namespace cuda
}  // namespace tunesmith
