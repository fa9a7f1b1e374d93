// The pager on the emulated device, under every schedule of its streams: whatever was moved, each operation reads what
// the operations before it wrote.
#ifdef TUNESMITH_EMULATED_BUILD
#include "../host/pager.h"

#include <array>
#include <cstdlib>
#include <memory>

#include "../emulator/streams.h"
#include "../host/failure.h"
#include "test.h"

namespace tunesmith::cuda {
namespace {

constexpr size_t kBytes = 4096;

// A device of `blocks` blocks with a pager; a tensor is full of one byte.
struct Machine {
  explicit Machine(int schedule, int blocks) {
    emulator::setStreamSchedule(schedule);
    char limit[32];
    std::snprintf(limit, sizeof limit, "%.17g", static_cast<double>(static_cast<size_t>(blocks) * kBytes) / (1 << 20));
    setenv("TUNESMITH_CUDA_EMULATED_MB", limit, 1);
    device = makeRuntime(0);
    allocator = std::make_unique<Allocator>(*device, true);
    compute = device->createStream();
    pager = std::make_unique<Pager>(*device, *allocator, compute);
  }
  ~Machine() {
    unsetenv("TUNESMITH_CUDA_EMULATED_MB");
    unsetenv("TUNESMITH_CUDA_EMULATED_PINNED_MB");
    pager.reset();
    allocator->trim();
    const DeviceInfo d = device->info();
    expect(allocator->use().live == 0 && d.freeBytes == d.totalBytes, "all memory is given back");
    allocator.reset();
    device.reset();
    emulator::setStreamSchedule(emulator::kAllLate);
  }
  Pager::Page* make(int value, bool pageable = false) {
    pager->begin();
    void* memory = allocator->allocate(kBytes, compute);
    device->setBytes(memory, value, kBytes, compute);
    Pager::Page* page = pager->add(memory, kBytes);
    pager->setPageable(page, pageable);
    return page;
  }
  void write(Pager::Page* page, int value) {
    pager->begin();
    device->setBytes(pager->use(page), value, kBytes, compute);
  }
  // What an operation that is submitted now reads; looked at in `verify`.
  void check(Pager::Page* page, int value) {
    pager->begin();
    reads.emplace_back();
    reads.back().expected = value;
    device->copyToHost(reads.back().bytes.data(), pager->use(page), kBytes, compute);
  }
  bool verify() {
    device->synchronize(compute);
    bool good = true;
    for (const Read& r : reads)
      for (char c : r.bytes) good = good && c == static_cast<char>(r.expected);
    reads.clear();
    return good;
  }

  struct Read {
    int expected;
    std::array<char, kBytes> bytes;
  };
  std::list<Read> reads;
  std::unique_ptr<Runtime> device;
  std::unique_ptr<Allocator> allocator;
  std::unique_ptr<Pager> pager;
  Stream compute = nullptr;
};

void testOffload(int schedule) {
  const std::string where = ", streams " + std::to_string(schedule);
  Machine m(schedule, 3);
  Pager::Page *x = m.make(1), *y = m.make(2);
  m.pager->offload(x);
  expect(m.pager->away() == 0 && m.allocator->use().live == 2 * kBytes, "the copy has only begun" + where);
  m.pager->offload(y);
  expect(m.pager->away() == kBytes && m.allocator->use().live == kBytes, "the first one's memory is free" + where);
  // Its memory has a new owner at once.
  Pager::Page* z = m.make(3);
  m.write(z, 4);
  m.pager->remove(z);
  m.pager->prefetch(x);
  m.check(x, 1);
  m.check(y, 2);
  expect(m.pager->away() == 0, "both are back" + where);
  // Written while its copy is under way: the copy is void.
  m.pager->offload(x);
  m.write(x, 5);
  m.pager->offload(y);
  m.check(x, 5);
  // Given back while it arrives.
  m.pager->offload(x);
  Pager::Page* w = m.make(6);
  m.pager->prefetch(y);
  m.pager->remove(y);
  Pager::Page* v = m.make(7);
  m.check(v, 7);
  m.check(w, 6);
  m.check(x, 5);
  // Read on the host, where it is.
  m.write(x, 8);
  m.pager->offload(x);
  m.pager->offload(w);
  const char* host = static_cast<const char*>(m.pager->onHost(x));
  expect(host && host[0] == 8 && host[kBytes - 1] == 8 && !m.pager->onHost(v), "values on the host" + where);
  // Whatever was under way has arrived by now.
  m.check(v, 7);
  expect(m.verify(), "offloaded tensors are what they were" + where);
  expect(m.pager->pinned() <= 3 * kBytes, "pinned memory is used again" + where);
  for (Pager::Page* page : {x, w, v}) m.pager->remove(page);
  expect(m.pager->away() == 0, "nothing is away at the end" + where);
  m.pager->trim();
  expect(m.pager->pinned() == 0, "pinned memory is given back" + where);
}

void testPaging(int schedule) {
  const std::string where = ", streams " + std::to_string(schedule);
  Machine m(schedule, 3);
  // Four pageable tensors on a device that has room for three.
  std::vector<Pager::Page*> states;
  for (int i = 0; i < 4; i++) states.push_back(m.make(10 + i, true));
  expect(m.pager->away() == kBytes, "one has to be away" + where);
  for (int round = 0; round < 3; round++)
    for (int i = 0; i < 4; i++) {
      m.check(states[static_cast<size_t>(i)], 10 + i + round);
      m.write(states[static_cast<size_t>(i)], 11 + i + round);
    }
  // 1, 2 and 3 are there; 1 was used longest ago, but the operation uses it.
  m.check(states[2], 15);
  m.pager->begin();
  m.pager->use(states[1]);
  m.pager->use(states[0]);
  expect(m.pager->onHost(states[3]) && !m.pager->onHost(states[1]) && !m.pager->onHost(states[2]),
      "the one that was used longest ago leaves" + where);
  m.pager->use(states[2]);
  expect(
      messageOf([&] { m.pager->use(states[3]); }).find("No GPU memory") == 0, "what an operation uses stays" + where);
  m.pager->begin();
  // What is not pageable stays too.
  for (Pager::Page* page : states) m.pager->setPageable(page, false);
  expect(messageOf([&] { m.pager->use(states[3]); }).find("No GPU memory") == 0, "only pageable tensors leave" + where);
  for (Pager::Page* page : states) m.pager->setPageable(page, true);
  void* large = m.allocator->allocate(2 * kBytes, m.compute);
  expect(m.pager->away() == 3 * kBytes, "as many as are needed leave" + where);
  m.allocator->release(large);
  for (int i = 0; i < 4; i++) m.check(states[static_cast<size_t>(i)], 13 + i);
  expect(m.verify(), "paged tensors are what they were" + where);
  for (Pager::Page* page : states) m.pager->remove(page);
}

void testPinnedShortage() {
  Machine m(emulator::kAllLate, 2);
  setenv("TUNESMITH_CUDA_EMULATED_PINNED_MB", "0", 1);
  Pager::Page *x = m.make(1, true), *y = m.make(2);
  try {
    m.pager->offload(x);
    expect(false, "no pinned memory is an error");
  } catch (const Failure& f) {
    expect(f.code == "out_of_memory" && std::string(f.what()).find("No pinned host memory") == 0 &&
            f.remedy.find("activationOffloading") != std::string::npos,
        "which says what to do");
  }
  m.pager->begin();
  expect(messageOf([&] { m.make(3); }).find("No GPU memory") == 0, "and paging cannot help then");
  m.check(x, 1);
  expect(m.verify(), "the values stay");
  m.pager->remove(x);
  m.pager->remove(y);
}

void testAdvice() {
  Machine m(emulator::kAllLate, 1);
  void* state = m.allocator->allocate(kBytes, m.compute);
  m.allocator->setLabel(state, m.allocator->label(kOptimizerState));
  try {
    m.allocator->allocate(kBytes, m.compute);
  } catch (const Failure& f) {
    expect(f.remedy.find("paged_adamw_32bit") != std::string::npos &&
            std::string(f.what()).find("optimizer state 4.0 KiB") != std::string::npos,
        "large states: the error names paged optimizers");
  }
  m.allocator->release(state);
}

// Any order of operations, on any schedule.
void testAnything(int schedule, uint32_t seed) {
  Machine m(schedule, 5);
  struct Tensor {
    Pager::Page* page;
    int value;
  };
  std::vector<Tensor> tensors;
  const auto random = [&](uint32_t n) {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 16) % n;
  };
  for (int i = 0; i < 300; i++) {
    const uint32_t what = random(8);
    if (tensors.size() < 7 && (tensors.empty() || what == 0)) {
      const int value = static_cast<int>(random(120));
      tensors.push_back({m.make(value, true), value});
      continue;
    }
    Tensor& t = tensors[random(static_cast<uint32_t>(tensors.size()))];
    if (what == 1) {
      t.value = static_cast<int>(random(120));
      m.write(t.page, t.value);
    } else if (what == 2) {
      m.pager->begin();
      m.pager->offload(t.page);
    } else if (what == 3) {
      m.pager->begin();
      m.pager->prefetch(t.page);
    } else if (what == 4) {
      m.pager->remove(t.page);
      t = tensors.back();
      tensors.pop_back();
    } else {
      m.check(t.page, t.value);
    }
  }
  expect(m.verify(), "any order of operations, streams " + std::to_string(schedule));
  for (const Tensor& t : tensors) m.pager->remove(t.page);
}

}  // namespace

void testPager() {
  for (int schedule : {emulator::kAllLate, emulator::kComputeEarly, emulator::kCopiesEarly, emulator::kAllEarly}) {
    testOffload(schedule);
    testPaging(schedule);
    for (uint32_t seed = 1; seed <= 5; seed++) testAnything(schedule, seed);
  }
  testPinnedShortage();
  testAdvice();
}

}  // namespace tunesmith::cuda
#endif
