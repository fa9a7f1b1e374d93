// Memory of captured steps and what has to hold before one runs again, on a device that only keeps books.
#include "../host/allocator.h"
#include "../host/captured_step.h"
#include "../host/failure.h"
#include "../host/staging.h"
#include "test.h"

namespace tunesmith::cuda {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

void testPool() {
  BookRuntime device;
  Allocator allocator(device);
  Stream s = device.createStream(), other = device.createStream();
  void* cached = allocator.allocate(2 * kMiB, s);
  void* outside = allocator.allocate(kMiB, s);
  allocator.release(cached);
  const int pool = allocator.openPool(s);
  expect(messageOf([&] { allocator.openPool(s); }) != "", "one pool at a time is open");
  void* a = allocator.allocate(2 * kMiB, s);
  expect(a == cached, "a pool takes what is cached for its stream");
  allocator.release(a);
  expect(allocator.use().live == 3 * kMiB && allocator.use().cached == 0,
      "what a pool has is in use, even when the step does not need it any more");
  expect(allocator.consumers()[0].name == "captured steps" && allocator.consumers()[0].bytes == 2 * kMiB, "and listed");
  void* b = allocator.allocate(2 * kMiB, s);
  expect(b == a && allocator.use().live == 3 * kMiB, "the same step gets it again");
  void* c = allocator.allocate(4 * kMiB, s);
  expect(allocator.inPool(c) && !allocator.inPool(outside), "its blocks are known");
  void* elsewhere = allocator.allocate(kMiB, other);
  expect(!allocator.inPool(elsewhere), "other streams have other memory");
  allocator.release(elsewhere);
  allocator.release(c);
  allocator.sealPool();
  expect(allocator.usedOf(pool) == 1, "one block is in use");
  expect(allocator.allocate(4 * kMiB, s) != c && allocator.allocate(2 * kMiB, s) != a,
      "nobody else gets the pool's memory");
  allocator.release(b);
  expect(allocator.allocate(2 * kMiB, s) != b, "not even what was given back later");
  const int before = device.releases;
  allocator.trim();
  expect(device.releases == before + 1, "trimming leaves the pool alone and gives back what is free elsewhere");
  const size_t live = allocator.use().live;
  allocator.closePool(pool);
  expect(allocator.use().live == live - 6 * kMiB && allocator.use().cached == 6 * kMiB, "a closed pool is free memory");
  expect(allocator.allocate(4 * kMiB, s) == c, "for everyone");
  const int second = allocator.openPool(s);
  void* survivor = allocator.allocate(kMiB, s);
  allocator.closePool(second);
  const size_t cachedBefore = allocator.use().cached;
  allocator.release(survivor);
  expect(allocator.use().cached == cachedBefore + kMiB && !allocator.inPool(survivor),
      "what outlives its pool is given back like any other memory");
}

void testPoolWithoutMemory() {
  BookRuntime device;
  device.limit = 10 * kMiB;
  Allocator allocator(device);
  Stream s = device.createStream();
  allocator.release(allocator.allocate(6 * kMiB, s));
  const int pool = allocator.openPool(s);
  const int waits = device.synchronized;
  const std::string message = messageOf([&] { allocator.allocate(8 * kMiB, s); });
  expect(message.find("No GPU memory for 8.0 MiB") == 0 && device.synchronized == waits && device.releases == 0,
      "out of memory in a capture waits for nothing and gives nothing back");
  allocator.closePool(pool);
  expect(allocator.allocate(8 * kMiB, s) != nullptr, "and leaves the allocator in order");
}

void testStep() {
  BookRuntime device;
  Allocator allocator(device);
  Staging staging(device, 1, 64);
  Stream s = device.createStream();
  const int32_t good[2] = {3, 4}, bad[2] = {3, 9};
  int32_t rows[2], temporary[2];
  void* kept = allocator.allocate(kMiB, s);
  void* output = nullptr;
  {
    CapturedStep step(device, allocator, s);
    expect(device.capturing(), "a step begins with the capture");
    expect(messageOf([&] { staging.upload(rows, good, 8, s); }).find("cannot repeat") != std::string::npos,
        "no upload inside");
    expect(messageOf([&] { staging.download(temporary, rows, 8, s); }).find("cannot repeat") != std::string::npos,
        "no download inside");
    expect(messageOf([&] { staging.upload({{rows, good, 8}}, s); }).find("cannot repeat") != std::string::npos,
        "nor several");
    step.uses(kept);
    int asked = 0;
    const auto check = [&](const std::vector<const int32_t*>& host) {
      asked++;
      if (host[0][1] > 8 || host[1]) throw Failure("invalid_data", "rows inside the cache");
    };
    step.require("rows", {{rows, good, 2}, {nullptr, nullptr, 2}}, check);
    step.require("rows", {{rows, good, 2}, {nullptr, nullptr, 2}}, check);
    allocator.release(allocator.allocate(kMiB, s));
    output = allocator.allocate(kMiB, s);
    expect(messageOf([&] { step.check(); }) != "", "not launched before its time");
    step.finish(1);
    expect(!device.capturing() && device.graphs == 1, "a graph");
    step.check();
    expect(asked == 1, "a check that every layer asks for runs once");
    step.launch();
    step.assign(rows, bad, 2);
    expect(messageOf([&] { step.check(); }) == "rows inside the cache",
        "values that were not there at the capture are checked");
    step.assign(rows, good, 2);
    step.assign(temporary, bad, 2);
    step.check();
    step.released(output);
    expect(step.intact(), "its own memory is its pool's");
    step.released(kept);
    expect(!step.intact(), "a step whose memory is gone must not run");
  }
  expect(device.graphs == 0 && device.launches == 1, "the graph is destroyed");
  allocator.release(output);
  expect(allocator.use().live == kMiB, "its memory is free");
  {
    CapturedStep step(device, allocator, s);
    output = allocator.allocate(kMiB, s);
    expect(messageOf([&] { step.finish(0); }).find("outlives") != std::string::npos,
        "a step that keeps memory is refused");
  }
  allocator.release(output);
  {
    CapturedStep step(device, allocator, s);
    step.uses(kept);
    step.released(kept);
    expect(messageOf([&] { step.finish(0); }).find("given back") != std::string::npos,
        "so is one that gives back what others made");
  }
  {
    CapturedStep abandoned(device, allocator, s);
  }
  expect(!device.capturing() && device.log.back() == "abandonCapture", "a capture that is given up ends");
  device.captureFails = true;
  {
    CapturedStep step(device, allocator, s);
    expect(messageOf([&] { step.finish(0); }) == "the capture failed", "the device's own reason");
  }
  expect(
      device.graphs == 0 && allocator.use().live == kMiB && !device.capturing(), "nothing is left of a failed capture");
  allocator.release(allocator.allocate(kMiB, s));
}

void testSeveralUploads() {
  BookRuntime device;
  Staging staging(device, 2, 64);
  const std::vector<int> from = {1, 2, 3, 4, 5};
  std::vector<int> one(3), two(2), many(40), large(40, 7);
  staging.upload({{one.data(), from.data(), 12}, {two.data(), from.data() + 3, 8}}, nullptr);
  expect(one == std::vector<int>({1, 2, 3}) && two == std::vector<int>({4, 5}), "small arrays together");
  int records = 0;
  for (const std::string& entry : device.log) records += entry == "record";
  expect(records == 1, "in one slot");
  staging.upload({{many.data(), large.data(), 160}, {two.data(), from.data(), 8}}, nullptr);
  expect(many == large && two == std::vector<int>({1, 2}), "what does not fit goes one by one");
}

}  // namespace

void testCapture() {
  testPool();
  testPoolWithoutMemory();
  testStep();
  testSeveralUploads();
}

}  // namespace tunesmith::cuda
