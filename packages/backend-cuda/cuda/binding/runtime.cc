// The module: opening a device, its memory, and what can be said about this machine without one.
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include "../host/launch_profile.h"
#include "../host/library_finder.h"
#include "args.h"
#ifdef TUNESMITH_EMULATED_BUILD
#include "../emulator/emulator.h"
#include "../emulator/streams.h"
#endif

namespace tunesmith::cuda {
namespace {

#ifdef TUNESMITH_EMULATED_BUILD
constexpr bool kEmulated = true;
#else
constexpr bool kEmulated = false;
#endif

// Never destroyed: the driver may be gone by the time static objects end.
Context* opened = nullptr;

// The addon is shared by all threads of a process (worker threads load the same one), the device belongs to the one
// that opened it: tensors, the allocator and CUDA's current device are that thread's.
std::atomic<std::thread::id> owner;

bool ownedHere() { return owner.load() == std::this_thread::get_id(); }
void takeOwnership() {
  std::thread::id before;
  owner.compare_exchange_strong(before, std::this_thread::get_id());
  if (!ownedHere())
    throw Failure("backend", "The CUDA backend is in use in another thread of this program",
        "Use it from one thread at a time; it is free again when that worker thread has ended");
}
void giveUpOwnership() { owner = std::thread::id(); }

LaunchProfile*& profile = launchProfile();

void endProfile() {
  delete profile;
  profile = nullptr;
}

// Slot 0 stays empty: handle 0 is no tensor.
std::vector<Buffer>& buffers() {
  static auto* all = new std::vector<Buffer>(1);
  return *all;
}
std::vector<size_t>& freeSlots() {
  static auto* all = new std::vector<size_t>;
  return *all;
}

// Numbers, with other values beside them.
Napi::Object numbers(Napi::Env env, std::initializer_list<std::pair<const char*, size_t>> all) {
  Napi::Object o = Napi::Object::New(env);
  for (const auto& [name, value] : all) o.Set(name, static_cast<double>(value));
  return o;
}
// A list of what `object` makes of each.
template <class T, class F> Napi::Array listOf(Napi::Env env, const std::vector<T>& all, F object) {
  Napi::Array list = Napi::Array::New(env);
  uint32_t i = 0;
  for (const T& x : all) list.Set(i++, object(x));
  return list;
}

Napi::Object describe(Napi::Env env, Context& c) {
  const DeviceInfo d = c.runtime->info();
  const auto count = [](int n) { return static_cast<size_t>(n); };
  Napi::Object o = numbers(env,
      {{"totalBytes", d.totalBytes}, {"freeBytes", d.freeBytes}, {"multiprocessors", count(d.multiprocessors)},
          {"driver", count(d.driverVersion)}, {"runtime", count(d.runtimeVersion)}});
  o.Set("name", d.name);
  o.Set("capability", std::to_string(d.major) + "." + std::to_string(d.minor));
  o.Set("matrixProducts", c.gemm->description());
  o.Set("emulated", kEmulated);
  return o;
}

// open(device, precision): 0 bf16, 1 float32, 2 float32 with tf32 products. Opening again gives what is open.
Napi::Value open(Args& a) {
  const int device = a.small();
  const int64_t precision = a.integer();
  if (precision > 2) a.fail("a precision");
  takeOwnership();
  try {
    if (!opened) opened = new Context(device, precision == 0 ? Type::bf16 : Type::f32, precision == 2);
  } catch (...) {
    giveUpOwnership();
    throw;
  }
  return describe(a.env(), *opened);
}

void closeDevice() {
  endProfile();
  dropCapturedSteps();
  delete opened;
  opened = nullptr;
  buffers().assign(1, Buffer());
  freeSlots().clear();
  giveUpOwnership();
}

// Ends the use of the device; every tensor must have been freed.
void close(Args&) {
  if (!opened) return;
  takeOwnership();
  closeDevice();
}

Napi::Value libraries(Args& a) {
  Napi::Object o = Napi::Object::New(a.env());
  const System system = realSystem();
  const auto look = [&](const char* key, const LibrarySpec& spec) {
    const FoundLibrary found = findLibrary(spec, system);
    Napi::Object l = Napi::Object::New(a.env());
    l.Set("found", found.handle != nullptr);
    l.Set("text", found.explain(spec));
    l.Set("remedy", spec.remedy);
    o.Set(key, l);
  };
  look("driver", driverSpec());
  look("cublasLt", cublasLtSpec());
  look("nccl", ncclSpec());
  return o;
}

Napi::Value allocate(Args& a) {
  const int64_t elements = a.integer(), type = a.integer();
  if (type > 2) a.fail("a storage type");
  const std::string label = a.text();
  Context& c = context();
  Buffer b;
  b.array.type = static_cast<Type>(type);
  b.elements = elements;
  b.array.data = c.allocator->allocate(
      static_cast<size_t>(product(elements, 4) / 4) * bytesOf(b.array.type), c.stream, c.allocator->label(label));
  if (freeSlots().empty()) {
    freeSlots().push_back(buffers().size());
    buffers().emplace_back();
  }
  const size_t slot = freeSlots().back();
  freeSlots().pop_back();
  buffers()[slot] = b;
  return Napi::Number::New(a.env(), static_cast<double>(slot));
}

// A tensor wherever it is; nullptr for a handle that is none.
Buffer* slotOf(int64_t handle) {
  std::vector<Buffer>& all = buffers();
  if (handle <= 0 || static_cast<size_t>(handle) >= all.size() || !all[static_cast<size_t>(handle)].array)
    return nullptr;
  return &all[static_cast<size_t>(handle)];
}
Buffer& slot(Args& a) {
  Buffer* b = slotOf(a.integer());
  if (!b) a.fail("a tensor");
  return *b;
}
size_t bytesOf(const Buffer& b) { return static_cast<size_t>(b.elements) * bytesOf(b.array.type); }
Pager::Page* pageOf(Buffer& b) {
  if (!b.page) b.page = context().pager->add(b.array.data, bytesOf(b));
  return b.page;
}

void release(Args& a) {
  Buffer& b = slot(a);
  const size_t handle = static_cast<size_t>(&b - buffers().data());
  if (b.page)
    context().pager->remove(b.page);
  else
    context().allocator->release(b.array.data);
  b = Buffer();
  freeSlots().push_back(handle);
}

void offload(Args& a) {
  Buffer& b = slot(a);
  if (b.elements > 0) context().pager->offload(pageOf(b));
}
void prefetch(Args& a) {
  const Buffer& b = slot(a);
  if (b.page) context().pager->prefetch(b.page);
}
// optimizerState(handle, pageable)
void optimizerState(Args& a) {
  Buffer& b = slot(a);
  const bool pageable = a.boolean();
  Context& c = context();
  if (b.page)
    c.pager->setLabel(b.page, c.allocator->label(kOptimizerState));
  else
    c.allocator->setLabel(b.array.data, c.allocator->label(kOptimizerState));
  if (pageable && b.elements > 0)
    c.pager->setPageable(pageOf(b), true);
  else if (b.page)
    c.pager->setPageable(b.page, false);
}

void write(Args& a) {
  const Buffer* b = bufferOf(a.integer());
  context().staging->upload({uploadOf(a, b)}, context().stream);
}

// A tensor that is on the host is read where it is.
void copyOut(const Buffer& b, void* to) {
  Context& c = context();
  if (const void* here = b.page ? c.pager->onHost(b.page) : nullptr)
    std::memcpy(to, here, bytesOf(b));
  else
    c.staging->download(to, b.page ? c.pager->use(b.page) : b.array.data, bytesOf(b), c.stream);
}

void read(Args& a) {
  const Buffer* b = slotOf(a.integer());
  char* to = static_cast<char*>(a.valuesOf(b));
  copyOut(*b, to);
  if (b->array.type != Type::bf16) return;
  // Half the bytes over the bus; widened here from the back, so that one buffer is enough.
  for (size_t i = static_cast<size_t>(b->elements); i-- > 0;) {
    uint16_t half;
    std::memcpy(&half, to + 2 * i, 2);
    const uint32_t bits = static_cast<uint32_t>(half) << 16;
    std::memcpy(to + 4 * i, &bits, 4);
  }
}

Napi::Value memory(Args& a) {
  Context& c = context();
  const MemoryUse use = c.allocator->use();
  const DeviceInfo d = c.runtime->info();
  Napi::Object o = numbers(a.env(),
      {{"live", use.live}, {"cached", use.cached}, {"peak", use.peak}, {"away", c.pager->away()},
          {"pinned", c.pager->pinned()}, {"free", d.freeBytes}, {"total", d.totalBytes}});
  const auto entry = [&](const Allocator::Consumer& consumer) {
    Napi::Object e = numbers(a.env(), {{"bytes", consumer.bytes}, {"count", consumer.count}});
    e.Set("name", consumer.name);
    return e;
  };
  o.Set("consumers", listOf(a.env(), c.allocator->consumers(), entry));
  o.Set("peakConsumers", listOf(a.env(), c.allocator->peakConsumers(), entry));
  return o;
}

// bind(name, fields, fields of entries): the kernel or operation of that name as a function of the fields' values.
Napi::Value bindByName(const Napi::CallbackInfo& info) {
  const std::string name = info[0].ToString();
  Names names[2];
  for (size_t i = 0; i < 2; i++) {
    const Napi::Array list = info[i + 1].As<Napi::Array>();
    for (uint32_t j = 0; j < list.Length(); j++) names[i].push_back(list.Get(j).ToString());
  }
  for (const auto* all : {&kernels(), &operations()})
    for (const NamedBody& kernel : *all) {
      if (name != kernel.name) continue;
      const auto body = kernel.body;
      const auto call = [body, fields = std::move(names[0]), entryFields = std::move(names[1])](
                            const Napi::CallbackInfo& given) -> Napi::Value {
        return guarded(given.Env(), [&] {
          Fields f(given, fields, entryFields);
          body(f);
          return given.Env().Undefined();
        });
      };
      return Napi::Function::New(info.Env(), call, name);
    }
  return info.Env().Undefined();
}

void startProfile(Args& a) {
  endProfile();
  profile = new LaunchProfile(*context().runtime, a.boolean());
}

Napi::Value stopProfile(Args& a) {
  if (!profile) return Napi::Array::New(a.env());
  const Napi::Array rows = listOf(a.env(), profile->rows(), [&](const LaunchProfile::Row& row) {
    Napi::Object entry = numbers(a.env(), {{"launches", row.launches}});
    entry.Set("operation", row.operation);
    entry.Set("kernel", row.kernel);
    entry.Set("seconds", row.milliseconds / 1000);
    return entry;
  });
  endProfile();
  return rows;
}

}  // namespace

const Buffer* bufferOf(int64_t handle) {
  Buffer* b = slotOf(handle);
  Context* c = opened;
  if (b && b->page) {
    if (c->capture)
      throw Failure("backend", "memory that can leave the GPU is used, which a captured step cannot repeat");
    b->array.data = c->pager->use(b->page);
  }
  if (b && c->capture) c->capture->uses(b->array.data);
  return b;
}

void beginOperation() {
  if (opened && ownedHere()) opened->pager->begin();
}

Context& context() {
  if (!opened || !ownedHere()) throw Failure("backend", "no CUDA device was opened in this thread");
  return *opened;
}

Staging::Upload uploadOf(Args& a, const Buffer* b) {
  const void* values = a.valuesOf(b);
  if (b->array.type == Type::bf16) a.fail("a tensor that is not bf16");
  return {b->array.data, values, static_cast<size_t>(b->elements) * 4};
}

namespace {

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("bind", Napi::Function::New(env, bindByName));
  add(env, exports, "open", open);
  add(env, exports, "close", close);
  add(env, exports, "libraries", libraries);
  add(env, exports, "allocate", allocate);
  add(env, exports, "free", release);
  add(env, exports, "upload", write);
  add(env, exports, "download", read);
  add(env, exports, "offload", offload);
  add(env, exports, "prefetch", prefetch);
  add(env, exports, "optimizerState", optimizerState);
  add(env, exports, "memory", memory);
  add(env, exports, "trim", [](Args&) {
    context().pager->trim();
    context().allocator->trim();
  });
  add(env, exports, "resetPeak", [](Args&) { context().allocator->resetPeak(); });
  add(env, exports, "startProfile", startProfile);
  add(env, exports, "profileOperation", [](Args& a) {
    const std::string name = a.text();
    if (profile) profile->operation(name);
  });
  add(env, exports, "stopProfile", stopProfile);
  add(env, exports, "synchronize", [](Args&) { context().runtime->synchronize(context().stream); });
#ifdef TUNESMITH_EMULATED_BUILD
  // 0 forward, 1 reverse, 2 shuffled: the order in which the threads of a block run.
  add(env, exports, "setSchedule",
      [](Args& a) { emulator::setSchedule(static_cast<emulator::Schedule>(a.integer())); });
  // Sum of 1: the compute stream runs early, 2: the others do. Default 0: nothing runs before it is waited for.
  add(env, exports, "setStreamSchedule", [](Args& a) { emulator::setStreamSchedule(a.small()); });
#endif
  addCapture(env, exports);
  // A worker thread that ends gives its device back; at the end of the process the driver does that faster.
  env.AddCleanupHook([] {
    if (opened && ownedHere() && syscall(SYS_gettid) != getpid()) closeDevice();
  });
  return exports;
}

NODE_API_MODULE(tunesmith_cuda, init)

}  // namespace
}  // namespace tunesmith::cuda
