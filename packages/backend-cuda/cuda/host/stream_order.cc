#include "stream_order.h"

#include <algorithm>

namespace tunesmith::cuda {

StreamOrder::~StreamOrder() {
  for (Node& n : nodes_)
    if (n.event) runtime_.destroyEvent(n.event);
}

int StreamOrder::add() {
  Node node;
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
  return true;
}

}  // namespace tunesmith::cuda
