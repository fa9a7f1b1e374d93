// The host side on streams that run as late or as early as they may: each case with its waits, and without one of them,
// where the values must come out wrong. The second half shows that the first one would notice.
#ifdef TUNESMITH_EMULATED_BUILD
#include "../emulator/streams.h"

#include <cstring>
#include <functional>

#include "../host/allocator.h"
#include "../host/staging.h"
#include "test.h"

namespace tunesmith::cuda {
namespace {

using Schedules = std::vector<int>;
const Schedules kEvery = {emulator::kAllLate, emulator::kComputeEarly, emulator::kCopiesEarly, emulator::kAllEarly};

// True when `holds` under each of the schedules.
bool always(const Schedules& schedules, const std::function<bool(Runtime&)>& holds) {
  bool all = true;
  for (int schedule : schedules) {
    emulator::setStreamSchedule(schedule);
    const std::unique_ptr<Runtime> device = makeRuntime(0);
    all = holds(*device) && all;
    emulator::drainAll();
  }
  emulator::setStreamSchedule(emulator::kAllLate);
  return all;
}

void testEventsOfDevice() {
  emulator::setStreamSchedule(emulator::kAllLate);
  const std::unique_ptr<Runtime> device = makeRuntime(0);
  const Stream compute = device->createStream(), copies = device->createStream();
  char* a = static_cast<char*>(device->allocate(1));
  Event event = device->createEvent();
  expect(emulator::reached(event), "an event that was never recorded is passed");
  device->setBytes(a, 1, 1, compute);
  device->record(event, compute);
  device->setBytes(a, 2, 1, compute);
  expect(!emulator::reached(event), "nothing runs before it is waited for");
  device->streamWaits(copies, event);
  device->record(event, compute);
  char pinned = 0;
  device->copyToHost(&pinned, a, 1, copies);
  device->synchronize(copies);
  expect(pinned == 1 && *a == 1, "a wait is for the record before it, and runs no more than that");
  device->waitFor(event);
  expect(*a == 2 && emulator::reached(event), "the event is its last record");
  device->destroyEvent(event);
  emulator::setStreamSchedule(emulator::kComputeEarly);
  device->setBytes(a, 3, 1, compute);
  device->copyToHost(&pinned, a, 1, copies);
  device->setBytes(a, 4, 1, compute);
  device->synchronize(copies);
  expect(pinned == 4, "a late copy reads what is there when it runs");
  device->release(a);
}

void testOrderAcrossStreams() {
  const auto roundTrip = [](bool waits, bool waitsBack) {
    return [waits, waitsBack](Runtime& device) {
      const Stream compute = device.createStream(), copies = device.createStream();
      const Event event = device.createEvent();
      std::vector<char> pinned(512);
      void* x = device.allocate(512);
      device.setBytes(x, 7, 512, compute);
      device.record(event, compute);
      if (waits) device.streamWaits(copies, event);
      device.copyToHost(pinned.data(), x, 512, copies);
      device.record(event, copies);
      if (waitsBack) device.streamWaits(compute, event);
      device.setBytes(x, 8, 512, compute);
      device.synchronize(compute);
      device.synchronize(copies);
      device.destroyEvent(event);
      device.release(x);
      return pinned[511] == 7;
    };
  };
  expect(always(kEvery, roundTrip(true, true)), "a copy between two kernels");
  expect(!always({emulator::kCopiesEarly}, roundTrip(false, true)),
      "a copy that does not wait for its kernel reads too early");
  expect(!always({emulator::kComputeEarly}, roundTrip(true, false)),
      "a kernel that does not wait for the copy writes too early");
}

void testStagingOfDevice() {
  expect(always(kEvery,
             [](Runtime& device) {
               Staging staging(device, 2, 100);
               const Stream stream = device.createStream();
               std::vector<char> from(1050), back(1050);
               for (size_t i = 0; i < from.size(); i++) from[i] = static_cast<char>(i * 7);
               void* x = device.allocate(from.size());
               const std::vector<char> given = from;
               staging.upload(x, from.data(), from.size(), stream);
               std::fill(from.begin(), from.end(), 0);
               staging.download(back.data(), x, back.size(), stream);
               device.release(x);
               return back == given;
             }),
      "what is uploaded is what was there at the call, and downloads wait");
}

}  // namespace

void testStreamsOfDevice() {
  testEventsOfDevice();
  testOrderAcrossStreams();
  testStagingOfDevice();
}

}  // namespace tunesmith::cuda
#endif
