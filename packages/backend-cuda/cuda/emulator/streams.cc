#include "streams.h"

#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "emulator.h"

namespace emulator {
namespace {

struct Queue;
// A moment in a stream.
struct Mark {
  Queue* queue = nullptr;
  bool reached = false;
};
struct Queue {
  bool compute = false, recording = false;
  std::vector<std::function<void()>> recorded;
  std::deque<std::function<void()>> work;
};
struct Event {
  std::shared_ptr<Mark> last;
};

int schedule = kAllLate;
std::vector<std::unique_ptr<Queue>>& queues() {
  static std::vector<std::unique_ptr<Queue>> all;
  return all;
}

void runNext(Queue& queue) {
  // Out of the queue first: work that fails has run.
  const std::function<void()> work = std::move(queue.work.front());
  queue.work.pop_front();
  work();
}
void runUntil(Mark& mark) {
  while (!mark.reached) runNext(*mark.queue);
}
bool early(const Queue& queue) { return schedule & (queue.compute ? kComputeEarly : kCopiesEarly); }

}  // namespace

void setStreamSchedule(int wanted) {
  drainAll();
  schedule = wanted;
}

void* makeStream(bool compute) {
  queues().push_back(std::make_unique<Queue>());
  queues().back()->compute = compute;
  return queues().back().get();
}

void submit(void* stream, std::function<void()> work) {
  if (!stream || dry) return work();
  Queue& queue = *static_cast<Queue*>(stream);
  if (queue.recording) return queue.recorded.push_back(std::move(work));
  queue.work.push_back(std::move(work));
  if (early(queue)) drain(stream);
}

void beginRecording(void* stream) { static_cast<Queue*>(stream)->recording = true; }
std::vector<std::function<void()>> endRecording(void* stream) {
  Queue& queue = *static_cast<Queue*>(stream);
  queue.recording = false;
  return std::exchange(queue.recorded, {});
}

void drain(void* stream) {
  Queue& queue = *static_cast<Queue*>(stream);
  while (!queue.work.empty()) runNext(queue);
}
void drainAll() {
  for (const auto& queue : queues()) drain(queue.get());
}
void dropStreams() { queues().clear(); }

void* makeEvent() { return new Event; }
void dropEvent(void* event) { delete static_cast<Event*>(event); }

void recordEvent(void* event, void* stream) {
  auto mark = std::make_shared<Mark>();
  mark->queue = static_cast<Queue*>(stream);
  static_cast<Event*>(event)->last = mark;
  submit(stream, [mark] { mark->reached = true; });
  if (!stream) mark->reached = true;
}

void streamWaitsFor(void* stream, void* event) {
  if (const std::shared_ptr<Mark> mark = static_cast<Event*>(event)->last) submit(stream, [mark] { runUntil(*mark); });
}

bool reached(void* event) {
  const std::shared_ptr<Mark>& mark = static_cast<Event*>(event)->last;
  return !mark || mark->reached;
}

void waitForEvent(void* event) {
  if (const std::shared_ptr<Mark> mark = static_cast<Event*>(event)->last) runUntil(*mark);
}

}  // namespace emulator
