// The host side without a device: memory, staging, streams, libraries, launch geometry.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "../host/allocator.h"
#include "../host/attention_plan.h"
#include "../host/failure.h"
#include "../host/launch_geometry.h"
#include "../host/library_finder.h"
#include "../host/pager.h"
#include "../host/staging.h"
#include "test.h"

namespace tunesmith::cuda {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

void testSizes() {
  expect(roundedSize(0) == 512 && roundedSize(1) == 512 && roundedSize(512) == 512, "small sizes");
  for (size_t bytes = 1; bytes < 64 * kMiB; bytes = bytes * 5 / 4 + 1) {
    const size_t size = roundedSize(bytes);
    expect(size >= bytes && size % 512 == 0, "a rounded size holds what was asked for");
    expect(bytes < 8192 || size <= bytes + bytes / 7, "a rounded size wastes an eighth at most");
    expect(roundedSize(size) == size, "a rounded size stays");
  }
}

void testReuse() {
  BookRuntime device;
  Allocator allocator(device);
  Stream one = device.createStream(), two = device.createStream();
  void* a = allocator.allocate(3 * kMiB, one);
  allocator.release(a);
  expect(allocator.use().cached == 3 * kMiB && allocator.use().live == 0, "given back memory is kept");
  expect(allocator.allocate(3 * kMiB - 100, one) == a, "the same stream gets it at once");
  expect(allocator.allocate(3 * kMiB, one) != a && device.allocations == 2, "but not twice");
  allocator.release(a);
  expect(allocator.allocate(3 * kMiB, two) != a, "another stream does not get it");
  expect(allocator.allocate(kMiB, one) != a, "a far smaller request does not take it");
  expect(messageOf([&] { allocator.release(reinterpret_cast<void*>(8)); }) != "", "releasing what is none is an error");
}

// What is cached and does not help stays: its next owner finds it.
void testShortage() {
  BookRuntime device;
  device.limit = 15 * kMiB;
  Allocator allocator(device);
  Stream one = device.createStream(), two = device.createStream();
  std::vector<void*> blocks;
  for (size_t mib : {1, 2, 4}) blocks.push_back(allocator.allocate(mib * kMiB, one));
  blocks.push_back(allocator.allocate(8 * kMiB, two));
  for (void* block : blocks) allocator.release(block);
  void* three = allocator.allocate(3 * kMiB, one);
  expect(device.releases == 1 && allocator.use().cached == 11 * kMiB, "the smallest block that is enough goes back");
  expect(allocator.allocate(kMiB, one) == blocks[0] && allocator.allocate(8 * kMiB, two) == blocks[3],
      "the others are there still");
  allocator.release(blocks[0]);
  allocator.release(blocks[3]);
  allocator.release(three);
  void* twelve = allocator.allocate(12 * kMiB, one);
  expect(device.releases == 3 && allocator.use().cached == 3 * kMiB, "or the largest, until they are");
  expect(allocator.allocate(kMiB, one) == blocks[0] && allocator.allocate(2 * kMiB, one) == blocks[1],
      "and no more than that");
  allocator.release(twelve);
}

void testOutOfMemory() {
  BookRuntime device;
  device.limit = 10 * kMiB;
  Allocator allocator(device);
  const int weights = allocator.label("packed weights"), lora = allocator.label("LoraLinear");
  expect(allocator.label("LoraLinear") == lora, "a label has one number");
  Stream s = device.createStream();
  void* kept = allocator.allocate(4 * kMiB, s, weights);
  void* freed = allocator.allocate(5 * kMiB, s, lora);
  allocator.release(freed);
  void* large = allocator.allocate(6 * kMiB, s, lora);
  expect(device.releases == 1 && device.synchronized == 1, "cached memory goes back to the driver before giving up");
  const std::string message = messageOf([&] { allocator.allocate(kMiB, s, lora); });
  for (const char* part : {"1.0 MiB (LoraLinear)", "10.0 MiB are in use", "0.0 KiB of 10.0 MiB are free on test device",
           "LoraLinear 6.0 MiB in 1 tensor, packed weights 4.0 MiB in 1 tensor"})
    expect(message.find(part) != std::string::npos,
        std::string("an out of memory error that says: ") + part + "; it says: " + message);
  try {
    allocator.allocate(kMiB, s, lora);
  } catch (const Failure& f) {
    expect(f.code == "out_of_memory" && f.remedy.find("checkpointing") != std::string::npos, "and what to do");
  }
  allocator.release(large);
  expect(allocator.use().peak == 10 * kMiB, "the peak");
  allocator.resetPeak();
  expect(allocator.use().peak == 4 * kMiB, "the peak anew");
  expect(allocator.consumers().size() == 1 && allocator.consumers()[0].name == "packed weights", "consumers");
  void* more = allocator.allocate(3 * kMiB, s, lora);
  allocator.release(more);
  const auto atPeak = allocator.peakConsumers();
  expect(atPeak.size() == 2 && atPeak[0].bytes == 4 * kMiB && atPeak[1].name == "LoraLinear" &&
          atPeak[1].bytes == 3 * kMiB,
      "who held the memory at the peak");
  allocator.release(kept);
  allocator.trim();
  expect(device.used == 0 && allocator.use().cached == 0, "all given back");
  Allocator poisoned(device, true);
  expect(*static_cast<uint32_t*>(poisoned.allocate(4, s)) == 0xffffffffu, "poisoned memory is NaN");
}

void testStaging() {
  BookRuntime device;
  {
    Staging staging(device, 2, 100);
    std::vector<char> from(1050), to(1050), back(1050);
    for (size_t i = 0; i < from.size(); i++) from[i] = static_cast<char>(i * 7);
    staging.upload(to.data(), from.data(), from.size(), nullptr);
    expect(to == from, "uploads in parts");
    staging.download(back.data(), to.data(), to.size(), nullptr);
    expect(back == from && device.synchronized == 1, "downloads in parts and waits");
    // A slot is filled again only after its last copy: a wait before each copy from the third on.
    int copies = 0, waits = 0;
    bool ordered = true;
    for (const std::string& entry : device.log) {
      copies += entry.rfind("copy", 0) == 0;
      waits += entry == "wait";
      if (entry.rfind("copy", 0) == 0) ordered = ordered && waits >= copies - 2;
    }
    expect(ordered, "slots are not overwritten while in use");
    staging.upload(to.data(), from.data(), 0, nullptr);
  }
  expect(device.events == 0, "staging gives its events back");
}

// The two streams of the pager.
void testWaits() {
  BookRuntime device;
  {
    Allocator allocator(device);
    const Stream compute = device.createStream();
    Pager pager(device, allocator, compute);
    Pager::Page* pages[2];
    for (Pager::Page*& page : pages) page = pager.add(allocator.allocate(kMiB, compute), kMiB);
    const auto asked = [&](const char* entry) { return std::count(device.log.begin(), device.log.end(), entry); };
    for (Pager::Page* page : pages) pager.setPageable(page, true);
    pager.begin();
    expect(pager.makeRoom(2 * kMiB), "both leave");
    expect(asked("record") == 3 && asked("streamWaits") == 3, "a wait of each copy, and one for both");
    for (Pager::Page* page : pages) pager.use(page);
    expect(asked("record") == 7 && asked("streamWaits") == 7, "a wait before each copy back, and one after it");
    for (Pager::Page* page : pages) pager.remove(page);
    expect(asked("record") == 7, "nothing to wait for");
  }
  expect(device.events == 0, "the pager gives its event back");
}

// What a lost device leaves is put away quietly: an error from a destructor would end this process.
void testLostDevice() {
  BookRuntime device;
  {
    Staging staging(device, 2, 100);
    std::vector<char> bytes(150);
    staging.upload(bytes.data(), bytes.data(), bytes.size(), nullptr);
    Allocator allocator(device);
    void* a = allocator.allocate(kMiB, device.createStream());
    allocator.release(a);
    device.broken = true;
    expect(messageOf([&] { allocator.trim(); }) == "the device is lost", "who waits is told");
  }
}

// Files and variables of an imaginary machine.
struct FakeSystem {
  std::map<std::string, std::string> variables;
  std::set<std::string> files;
  std::map<std::string, std::string> links;
  std::set<std::string> loadable;

  System system() {
    System s;
    s.environment = [this](const std::string& name) { return variables.count(name) ? variables[name] : ""; };
    s.exists = [this](const std::string& path) { return files.count(path) > 0 || !children(path).empty(); };
    s.list = [this](const std::string& folder) { return children(folder); };
    s.resolve = [this](const std::string& path) { return links.count(path) ? links[path] : path; };
    s.open = [this](const std::string& path, std::string& error) -> void* {
      if (loadable.count(path)) return this;
      error = "wrong ELF class";
      return nullptr;
    };
    return s;
  }
  std::vector<std::string> children(const std::string& folder) {
    std::set<std::string> names;
    for (const std::string& file : files)
      if (file.rfind(folder + "/", 0) == 0)
        names.insert(file.substr(folder.size() + 1, file.find('/', folder.size() + 1) - folder.size() - 1));
    return {names.begin(), names.end()};
  }
};

void testLibraries() {
  const LibrarySpec spec = cublasLtSpec();
  const std::string wheel = "/home/u/env/lib/python3.12/site-packages/nvidia/cublas/lib/libcublasLt.so.12";
  FakeSystem machine;
  machine.variables = {{"LD_LIBRARY_PATH", "/a:/b"}, {"PATH", "/home/u/env/bin:/usr/bin"}, {"HOME", "/home/u"}};
  machine.files = {wheel, "/home/u/env/bin/python3", "/usr/local/cuda-12.8/lib64/libcublasLt.so.12",
      "/usr/local/cuda-13.0/lib64/libcublasLt.so.13"};
  machine.loadable = {wheel};
  FoundLibrary found = findLibrary(spec, machine.system());
  expect(found.path == wheel, "the wheel of the environment whose python is on the path; found: " + found.path);
  machine.loadable.insert("/usr/local/cuda-12.8/lib64/libcublasLt.so.12");
  expect(findLibrary(spec, machine.system()).path == "/usr/local/cuda-12.8/lib64/libcublasLt.so.12",
      "a toolkit before a wheel");
  machine.loadable.insert("libcublasLt.so.12");
  expect(findLibrary(spec, machine.system()).path == "libcublasLt.so.12", "the system's path before a toolkit");
  machine.files.insert("/b/libcublasLt.so.13");
  machine.loadable.insert("/b/libcublasLt.so.13");
  expect(findLibrary(spec, machine.system()).path == "/b/libcublasLt.so.13", "LD_LIBRARY_PATH before all");
  machine.variables["TUNESMITH_CUBLASLT"] = "/mine.so";
  found = findLibrary(spec, machine.system());
  expect(!found.handle && found.tried.size() == 1 && found.tried[0].first == "/mine.so",
      "a file that is named is the only one");

  FakeSystem broken;
  broken.variables["LD_LIBRARY_PATH"] = "/a";
  broken.files = {"/usr/local/cuda-13.0/lib64/libcublasLt.so.13", "/venv/bin/python3", "/opt/python/bin/python3.12",
      "/opt/python/lib/python3.12/site-packages/nvidia/cu13/lib/x"};
  broken.links["/venv/bin/python3"] = "/opt/python/bin/python3.12";
  broken.variables["PATH"] = "/venv/bin";
  const std::string text = findLibrary(spec, broken.system()).explain(spec);
  for (const char* part :
      {"cuBLASLt was not found. Looked for libcublasLt.so.13 or libcublasLt.so.12 in /a, the system's library path",
          "/usr/local/cuda-13.0/lib64", "/opt/python/lib/python3.12/site-packages/nvidia/cu13/lib",
          "libcublasLt.so.13: wrong ELF class"})
    expect(text.find(part) != std::string::npos, std::string("an explanation that names ") + part + "; it is: " + text);
  FakeSystem conda;
  conda.variables = {{"CONDA_PREFIX", "/opt/conda"}};
  conda.files = {"/opt/conda/lib/libcublasLt.so.12", "/usr/local/nvidia/lib/libcuda.so.1"};
  conda.loadable = conda.files;
  expect(findLibrary(spec, conda.system()).path == "/opt/conda/lib/libcublasLt.so.12", "conda's libraries");
  expect(
      findLibrary(driverSpec(), conda.system()).path == "/usr/local/nvidia/lib/libcuda.so.1", "a container's driver");
  const std::string missing = findLibrary(ncclSpec(), conda.system()).explain(ncclSpec());
  for (const char* part : {"NCCL was not found. Looked for libnccl.so.2 in the system's library path",
           "/usr/local/nvidia/lib64", "/opt/conda/lib"})
    expect(missing.find(part) != std::string::npos,
        std::string("an explanation that names ") + part + "; it is: " + missing);
  conda.files.insert("/opt/conda/lib/python3.12/site-packages/nvidia/nccl/lib/libnccl.so.2");
  conda.loadable = conda.files;
  expect(findLibrary(ncclSpec(), conda.system()).path ==
          "/opt/conda/lib/python3.12/site-packages/nvidia/nccl/lib/libnccl.so.2",
      "NCCL's wheel");
  expect(candidates(driverSpec(), broken.system())[1] == "libcuda.so.1", "the driver");
  expect(candidates(ncclSpec(), broken.system())[1] == "libnccl.so.2", "NCCL");
}

void testGeometry() {
  expect(overItems(0).blocks == 1 && overItems(1).threads == 32, "at least one warp");
  expect(overItems(1000).blocks == 4 && overItems(1000).threads == 256, "a thread per item");
  expect(overItems(int64_t{1} << 40).blocks == 1 << 20, "bounded blocks for loops");
  expect(overRows(7, 4096).blocks == 7 && overRows(7, 4096).threads == 256, "a block per row");
  expect(overRows(7, 100).threads == 32 && overRows(7, 520).threads == 96, "as many warps as the row has work for");
  for (int64_t rows : {1, 31, 33, 2048, 1000000})
    for (int64_t columns : {1, 128, 4096, 200000}) {
      const int64_t splits = columnSplits(rows, columns);
      expect(splits >= 1 && splits <= 256 && (splits == 1 || ceilDiv(rows, splits) >= 16), "column sums");
      expect((splits - 1) * ceilDiv(rows, splits) < rows || splits == 1 || rows < 1024, "parts that are not empty");
    }
  expect(logitRows(10, 128256, 6) == 10, "few rows at once");
  const int64_t chunk = logitRows(100000, 128256, 6);
  expect(chunk % 64 == 0 && chunk * 128256 * 6 <= int64_t{256} << 20, "logits inside the budget");
  expect(logitRows(100, int64_t{1} << 40, 4) == 1, "at least a row");
  SharedLimits limits;
  const int one = 0, other = 0;
  expect(limits.raise(&one, 60000) && !limits.raise(&one, 60000) && limits.raise(&one, 80000),
      "more shared memory is asked for once");
  expect(!limits.raise(&one, 50000) && !limits.raise(&one, 80000), "a smaller launch takes nothing back");
  expect(limits.raise(&other, 50000), "each kernel has its own");
}

void testAttentionPlan() {
  const std::vector<SequenceLength> lengths = {{130, 130}, {0, 0}, {1, 1}, {64, 200}};
  const std::vector<AttentionTile> queries = attentionTiles(lengths, 64, 0, false);
  expect(queries.size() == 5, "a tile for every 64 queries");
  expect(queries[0].sequence == 3 && queries[1].sequence == 0 && queries[1].first == 128 && queries[4].sequence == 2,
      "most keys first");
  const std::vector<AttentionTile> keys = attentionTiles({{130, 130}, {1, 1}}, 64, 0, true);
  expect(keys.size() == 4 && keys[0].first == 0 && keys[1].first == 64 && keys[2].first == 128, "most queries first");
  expect(attentionTileWork({130, 130}, 128, 64, 0, false) == 130 &&
          attentionTileWork({130, 130}, 128, 64, 20, false) == 21,
      "a window shortens the work");
  expect(attentionTileWork({130, 0}, 0, 64, 20, true) == 83, "queries that see a tile through a window");
  // A Llama of 8 key heads on 132 multiprocessors: one sequence of 2,048 tokens gives too few, one of 65,536 enough.
  const auto parts = [](int64_t tokens) {
    int64_t all = 0;
    for (int64_t first = 0; first < tokens; first += 64) all += tokens - first;
    return keyGradParts(tokens, all, 4, 8, 264);
  };
  expect(parts(2048) == 4 && parts(65536) == 1, "heads are divided where blocks are few");
  expect(keyGradParts(64, 64, 6, 1, 1) == 2 && keyGradParts(64, 64, 1, 1, 1) == 1, "into equal parts");
  expect(decodeSplits(8, 2048, 132) == 32 && decodeSplits(8, 131072, 132) == 33, "enough parts to fill the device");
  expect(decodeSplits(8, 40, 132) == 1 && decodeSplits(1024, 8192, 132) == 1, "no more parts than needed");
}

}  // namespace

void testHost() {
  testAttentionPlan();
  testSizes();
  testReuse();
  testShortage();
  testOutOfMemory();
  testStaging();
  testWaits();
  testLostDevice();
  testLibraries();
  testGeometry();
}

}  // namespace tunesmith::cuda
