// Streams and events of the emulated device: queues whose work runs as late, or as early, as CUDA allows.
//
// A stream that runs late does nothing until somebody waits for it, and then no more than is waited for: the least fair
// order there is. One that runs early does at once what was submitted, after what it has to wait for. Whatever result
// differs between them lacks an event.
#pragma once
#include <functional>
#include <vector>

namespace emulator {

// Bits: which streams run early. The compute stream is the first a runtime makes, the others are for copies.
enum StreamSchedule : int { kAllLate = 0, kComputeEarly = 1, kCopiesEarly = 2, kAllEarly = 3 };
// Takes effect after everything submitted so far has run.
void setStreamSchedule(int schedule);

void* makeStream(bool compute);
// Work without a stream runs at once.
void submit(void* stream, std::function<void()> work);
void drain(void* stream);
void drainAll();
// Forgets streams and what they still had to do.
void dropStreams();

// Capture: until it ends, what is submitted to the stream is kept and not done.
void beginRecording(void* stream);
std::vector<std::function<void()>> endRecording(void* stream);

void* makeEvent();
void dropEvent(void* event);
// As in CUDA: an event stands for its last record, and for nothing before the first.
void recordEvent(void* event, void* stream);
void streamWaitsFor(void* stream, void* event);
bool reached(void* event);
void waitForEvent(void* event);

}  // namespace emulator
