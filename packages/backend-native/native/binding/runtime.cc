// The module, its threads and its memory.
#include <mutex>
#include <unordered_map>

#include "fields.h"

namespace tunesmith {
namespace {

// Memory behind an ArrayBuffer. Freed at once by freeBuffer, or by the garbage collector when JavaScript lost it.
struct Block {
  void* pointer;
  size_t bytes;
  bool mapped = false;
  void free(void* at) const { mapped ? unmapFile(at, bytes) : freeAligned(at, bytes); }
};

std::mutex& blocksMutex() {
  static std::mutex* m = new std::mutex;
  return *m;
}
std::unordered_map<void*, Block*>& blocks() {
  static auto* map = new std::unordered_map<void*, Block*>;
  return *map;
}

void release(Block* block) {
  void* pointer = nullptr;
  {
    std::lock_guard<std::mutex> lock(blocksMutex());
    pointer = block->pointer;
    block->pointer = nullptr;
    if (pointer) blocks().erase(pointer);
  }
  block->free(pointer);
}

Napi::Value bufferOver(const Napi::CallbackInfo& info, void* pointer, size_t bytes, bool mapped) {
  if (!pointer) return info.Env().Null();
  Block* block = new Block{pointer, bytes, mapped};
  {
    std::lock_guard<std::mutex> lock(blocksMutex());
    blocks()[pointer] = block;
  }
  napi_value buffer = nullptr;
  const napi_status status = napi_create_external_arraybuffer(
      info.Env(), pointer, block->bytes,
      [](napi_env, void*, void* hint) {
        Block* mine = static_cast<Block*>(hint);
        release(mine);
        delete mine;
      },
      block, &buffer);
  if (status != napi_ok) {
    release(block);
    delete block;
    return info.Env().Null();
  }
  return Napi::Value(info.Env(), buffer);
}

// allocateBuffer(bytes): an uninitialised ArrayBuffer, or null when there is no memory.
Napi::Value allocateBuffer(const Napi::CallbackInfo& info) {
  const size_t bytes = static_cast<size_t>(info[0].ToNumber().Int64Value());
  return bufferOver(info, allocateAligned(bytes), bytes, false);
}

// mapFile(path, offset, bytes): an ArrayBuffer over a part of a file, or null where that cannot be.
Napi::Value mapFilePart(const Napi::CallbackInfo& info) {
  const std::string path = info[0].ToString();
  const size_t bytes = static_cast<size_t>(info[2].ToNumber().Int64Value());
  return bufferOver(info, mapFile(path.c_str(), info[1].ToNumber().Int64Value(), bytes), bytes, true);
}

// freeBuffer(buffer): detaches the ArrayBuffer (its views get length 0) and gives the memory back now.
Napi::Value freeBuffer(const Napi::CallbackInfo& info) {
  if (info.Length() < 1 || !info[0].IsArrayBuffer()) return Napi::Boolean::New(info.Env(), false);
  void* data = nullptr;
  size_t length = 0;
  napi_get_arraybuffer_info(info.Env(), info[0], &data, &length);
  Block* block = nullptr;
  {
    std::lock_guard<std::mutex> lock(blocksMutex());
    const auto found = blocks().find(data);
    if (found != blocks().end()) block = found->second;
  }
  if (!block || napi_detach_arraybuffer(info.Env(), info[0]) != napi_ok) return Napi::Boolean::New(info.Env(), false);
  Block kept = {nullptr, 0};
  {
    // The finalizer may already run once the buffer is detached: look again.
    std::lock_guard<std::mutex> lock(blocksMutex());
    const auto found = blocks().find(data);
    if (found != blocks().end() && found->second == block) {
      kept = *block;
      block->pointer = nullptr;
      blocks().erase(found);
    }
  }
  kept.free(kept.pointer);
  return Napi::Boolean::New(info.Env(), true);
}

Napi::Value isa(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), kernels().isa); }

Napi::Value threads(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), threadCount()); }

Napi::Value setThreads(const Napi::CallbackInfo& info) {
  const int64_t n = info[0].ToNumber().Int64Value();
  setThreadCount(static_cast<int>(n > 512 ? 512 : n));
  return info.Env().Undefined();
}

// precision(): of the products with 16-bit and quantized weights; setPrecision(name) returns whether there is such a
// one.
Napi::Value precision(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), bf16Products() ? "bf16" : "f32");
}

Napi::Value setPrecision(const Napi::CallbackInfo& info) {
  const std::string name = info[0].ToString();
  return Napi::Boolean::New(info.Env(), setBF16Products(name == "bf16"));
}

Napi::Value trimScratch(const Napi::CallbackInfo& info) {
  releaseScratch();
  return info.Env().Undefined();
}

// A function whose arguments are the fields `names`, in this order. False as a result: no memory to work in.
Napi::Function bind(Napi::Env env, const NamedBody& kernel, Names names) {
  const auto call = [body = kernel.body, names = std::move(names)](const Napi::CallbackInfo& info) -> Napi::Value {
    Fields f(info, names);
    try {
      body(f);
      return Napi::Boolean::New(info.Env(), true);
    } catch (const WrongField& wrong) {
      Napi::TypeError::New(info.Env(), wrong.message).ThrowAsJavaScriptException();
      return info.Env().Undefined();
    } catch (const NoMemory&) {
      return Napi::Boolean::New(info.Env(), false);
    }
  };
  return Napi::Function::New(env, call, kernel.name);
}

// bind(name, fields): the kernel or operation of that name.
Napi::Value bindByName(const Napi::CallbackInfo& info) {
  const std::string name = info[0].ToString();
  const Napi::Array fields = info[1].As<Napi::Array>();
  Names names;
  for (uint32_t i = 0; i < fields.Length(); i++) names.push_back(fields.Get(i).ToString());
  for (const auto* all : {&linearKernels(), &blockKernels(), &operations()})
    for (const NamedBody& kernel : *all)
      if (name == kernel.name) return bind(info.Env(), kernel, std::move(names));
  return info.Env().Undefined();
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("bind", Napi::Function::New(env, bindByName));
  exports.Set("allocateBuffer", Napi::Function::New(env, allocateBuffer));
  exports.Set("mapFile", Napi::Function::New(env, mapFilePart));
  exports.Set("freeBuffer", Napi::Function::New(env, freeBuffer));
  exports.Set("isa", Napi::Function::New(env, isa));
  exports.Set("threads", Napi::Function::New(env, threads));
  exports.Set("setThreads", Napi::Function::New(env, setThreads));
  exports.Set("precision", Napi::Function::New(env, precision));
  exports.Set("setPrecision", Napi::Function::New(env, setPrecision));
  exports.Set("trimScratch", Napi::Function::New(env, trimScratch));
  return exports;
}

}  // namespace

NODE_API_MODULE(tunesmith_native, init)

}  // namespace tunesmith
