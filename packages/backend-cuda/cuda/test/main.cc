// The test program of the host side, of every launch and of the operations, on the GPU or, built so, on the emulator.
//
//   --seed=N      the same random numbers again; else fresh ones, whose seed is printed
//   --rounds=N    as often with new shapes and numbers; default 1
//   --only=TEXT   launches whose name contains TEXT, and nothing else
//   --no-host --no-operations   leaves out what needs no device, and what needs cuBLASLt
//   --large       also arrays of more than 2^31 elements
//   --no-poison   outputs are left uninitialised instead of NaN, for compute-sanitizer's initcheck
//   --list        prints the launches that have a test
#include <chrono>

#include "lab.h"
#ifdef TUNESMITH_EMULATED_BUILD
#include "../emulator/emulator.h"
#endif

#ifndef TUNESMITH_LAUNCHES
#error "build-cuda.mjs gives the names in device/kernels.h"
#endif

namespace tunesmith::cuda {
namespace {

struct Options {
  uint64_t seed = static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
  int64_t rounds = 1;
  std::string only;
  bool host = true, operations = true, large = false, poison = true, list = false;
};

bool parse(int count, char** given, Options& o) {
  for (int i = 1; i < count; i++) {
    const std::string argument = given[i];
    const auto value = [&](const char* name) {
      return argument.rfind(name, 0) == 0 ? argument.substr(std::strlen(name)) : std::string();
    };
    if (const std::string seed = value("--seed="); !seed.empty())
      o.seed = std::strtoull(seed.c_str(), nullptr, 10);
    else if (const std::string rounds = value("--rounds="); !rounds.empty())
      o.rounds = std::strtoll(rounds.c_str(), nullptr, 10);
    else if (const std::string only = value("--only="); !only.empty())
      o.only = only;
    else if (argument == "--no-host")
      o.host = false;
    else if (argument == "--no-operations")
      o.operations = false;
    else if (argument == "--large")
      o.large = true;
    else if (argument == "--no-poison")
      o.poison = false;
    else if (argument == "--list")
      o.list = true;
    else {
      std::printf("unknown option %s\n", argument.c_str());
      return false;
    }
  }
  return true;
}

std::vector<std::string> launches() {
  std::vector<std::string> names(1);
  for (const char* c = TUNESMITH_LAUNCHES; *c; c++) {
    if (*c == ' ')
      names.emplace_back();
    else
      names.back() += *c;
  }
  return names;
}

void testLaunches(const Options& o) {
  const std::unique_ptr<Runtime> runtime = makeRuntime(0);
  const DeviceInfo device = runtime->info();
  std::printf("%s, compute capability %d.%d, CUDA %d (driver %d)\n", device.name.c_str(), device.major, device.minor,
      device.runtimeVersion, device.driverVersion);
  Lab lab{*runtime, runtime->createStream(), Random(o.seed)};
  lab.poison = o.poison;
  for (int64_t round = 0; round < o.rounds; round++)
    for (const Case& c : cases()) {
      std::string title;
      for (const std::string& kernel : c.kernels) title += (title.empty() ? "" : ", ") + kernel;
      if (title.find(o.only) == std::string::npos) continue;
      lab.running = title;
#ifdef TUNESMITH_EMULATED_BUILD
      emulator::setSchedule(static_cast<emulator::Schedule>(lab.random.integer(0, 2)));
#endif
      // What a case finds is said at once: the next one may not come back.
      const int before = failures();
      c.run(lab);
      runtime->synchronize(lab.stream);
      std::printf("%s %s\n", failures() == before ? "ok    " : "FAILED", title.c_str());
      std::fflush(stdout);
      lab.covered.insert(c.kernels.begin(), c.kernels.end());
    }
  for (const std::string& name : launches())
    if (o.only.empty())
      expect(lab.covered.count(name) > 0, name + " in device/kernels.h has no test: add it to a *_cases.cc");
  if (o.large && !testLargeArrays(lab))
    std::printf("skipped: not enough GPU memory for arrays of more than 2^31 elements\n");
}

int run(const Options& o) {
  if (o.list) {
    for (const Case& c : cases())
      for (const std::string& kernel : c.kernels) std::printf("%s\n", kernel.c_str());
    return 0;
  }
  std::printf("seed %llu\n", static_cast<unsigned long long>(o.seed));
  std::fflush(stdout);
  try {
    if (o.host && o.only.empty()) {
      testHost();
      testCublasLt();
      testCapture();
#ifdef TUNESMITH_EMULATED_BUILD
      testStreamsOfDevice();
      testPager();
#endif
    }
    testLaunches(o);
    if (o.operations && o.only.empty()) testOperations(o.seed);
  } catch (const std::exception& e) {
    expect(false, std::string("the program was ended by an error: ") + e.what());
  }
  if (failures())
    std::printf("%d checks FAILED; again with --seed=%llu\n", failures(), static_cast<unsigned long long>(o.seed));
  else
    std::printf("all checks passed\n");
  return failures() ? 1 : 0;
}

}  // namespace
}  // namespace tunesmith::cuda

int main(int count, char** given) {
  tunesmith::cuda::Options options;
  return tunesmith::cuda::parse(count, given, options) ? tunesmith::cuda::run(options) : 2;
}
