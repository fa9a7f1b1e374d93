// Checked access to the arguments of a call from JavaScript. Tensors come as handles: numbers that stand for device memory
// whose size and type are known here, so that a wrong one is an error and never a wild pointer.
#pragma once
#include <napi.h>

#include <string>

#include "../host/failure.h"
#include "../ops/operations.h"

namespace tunesmith {
namespace cuda {

struct Buffer {
  Array array;
  int64_t elements = 0;
  Pager::Page* page = nullptr;  // of tensors that may move; where it is now, `use` of the pager says
};
// The tensor, on the device; nullptr for a handle that is none.
const Buffer* bufferOf(int64_t handle);
// A call from JavaScript begins: what it uses stays on the device until the next one does.
void beginOperation();
// The opened device; throws when there is none.
Context& context();

class Args {
 public:
  explicit Args(const Napi::CallbackInfo& info) : info_(info) {}
  Napi::Env env() const { return info_.Env(); }

  int64_t integer() {
    const double d = next("a count").IsNumber() ? last_.As<Napi::Number>().DoubleValue() : -1;
    if (!(d >= 0 && d <= 9007199254740991.0) || d != static_cast<double>(static_cast<int64_t>(d))) fail("a count");
    return static_cast<int64_t>(d);
  }
  int small() {
    const int64_t n = integer();
    if (n > 2147483647) fail("a smaller count");
    return static_cast<int>(n);
  }
  double number() {
    if (!next("a number").IsNumber()) fail("a number");
    return last_.As<Napi::Number>().DoubleValue();
  }
  float real() { return static_cast<float>(number()); }
  bool boolean() {
    if (!next("a boolean").IsBoolean()) fail("a boolean");
    return last_.As<Napi::Boolean>().Value();
  }
  std::string text() {
    if (!next("a string").IsString()) fail("a string");
    return last_.As<Napi::String>().Utf8Value();
  }
  bool atEnd() const { return index_ >= info_.Length(); }
  size_t position() const { return index_; }
  void goTo(size_t position) { index_ = position; }

  // A tensor of at least `count` floats, float32 or bf16.
  Array floats(int64_t count) { return tensor(count, "floats", [](Type t) { return t != Type::i32; }); }
  Array optionalFloats(int64_t count) { return peekNull() ? Array() : floats(count); }
  // Float32 as stored: parameters, statistics, tables.
  float* f32(int64_t count) { return static_cast<float*>(tensor(count, "float32 elements", [](Type t) { return t == Type::f32; }).data); }
  float* optionalF32(int64_t count) { return peekNull() ? nullptr : f32(count); }
  int32_t* ints(int64_t count) { return static_cast<int32_t*>(tensor(count, "int32 elements", [](Type t) { return t == Type::i32; }).data); }
  int32_t* optionalInts(int64_t count) { return peekNull() ? nullptr : ints(count); }
  Array any(int64_t count) { return tensor(count, "elements", [](Type) { return true; }); }

  // An array in the host's memory.
  const int32_t* hostInts(int64_t count) {
    const Napi::Value v = next("an Int32Array");
    if (!v.IsTypedArray() || v.As<Napi::TypedArray>().TypedArrayType() != napi_int32_array) fail("an Int32Array");
    const Napi::Int32Array array = v.As<Napi::Int32Array>();
    if (static_cast<int64_t>(array.ElementLength()) < count) fail(("an Int32Array of at least " + std::to_string(count) + " elements").c_str());
    static const int32_t nothing = 0;
    return array.ElementLength() ? array.Data() : &nothing;
  }
  const int32_t* optionalHostInts(int64_t count) { return peekNull() ? nullptr : hostInts(count); }
  Napi::TypedArray hostArray() {
    if (!next("a typed array").IsTypedArray()) fail("a typed array");
    return last_.As<Napi::TypedArray>();
  }

  // Eight arguments: format, rounding, rows, columns, block size, data, scale, code.
  Weight weight() {
    Weight w;
    const int64_t format = integer(), rounding = integer();
    w.rows = integer();
    w.cols = integer();
    w.blockSize = integer();
    if (format > static_cast<int64_t>(Format::int8) || rounding > static_cast<int64_t>(Rounding::f16) || w.blockSize < 1) fail("a weight format");
    w.format = static_cast<Format>(format);
    w.rounding = static_cast<Rounding>(rounding);
    const int64_t n = product(w.rows, w.cols);
    if (w.format == Format::f32) {
      w.data = f32(n);
    } else {
      const int64_t bytes = w.format == Format::bf16 || w.format == Format::f16 ? 2 * n : w.format == Format::int8 ? n : (n + 1) / 2;
      w.data = ints((bytes + 3) / 4);
    }
    w.scale = optionalF32(w.format == Format::nf4 ? (n + w.blockSize - 1) / w.blockSize : w.format == Format::int8 ? w.rows : 0);
    w.code = optionalF32(w.format == Format::nf4 ? 16 : 0);
    if ((w.format == Format::nf4 && (!w.scale || !w.code)) || (w.format == Format::int8 && !w.scale)) fail("the weight's scales");
    return w;
  }

  Dropout dropout() {
    Dropout d;
    const double p = number(), seed = number();
    if (!(p >= 0 && p < 1)) fail("a dropout probability in [0, 1)");
    d.on = p > 0;
    d.seed = static_cast<uint32_t>(static_cast<int64_t>(seed));
    d.threshold = static_cast<uint32_t>(static_cast<uint64_t>(p * 4294967296.0));
    d.keepScale = static_cast<float>(1.0 / (1.0 - p));
    return d;
  }

  int64_t product(int64_t a, int64_t b) {
    int64_t r = 0;
    if (__builtin_mul_overflow(a, b, &r) || r > (int64_t{1} << 46)) fail("a smaller size");
    return r;
  }

  [[noreturn]] void fail(const char* expected) const { failAt(index_, expected); }
  [[noreturn]] static void failAt(size_t argument, const char* expected) { throw Failure("invalid_data", "argument " + std::to_string(argument) + ": expected " + expected); }
  size_t index() const { return index_; }

 private:
  Napi::Value& next(const char* expected) {
    if (index_ >= info_.Length()) {
      index_++;
      fail(expected);
    }
    return last_ = info_[index_++];
  }
  bool peekNull() {
    if (index_ < info_.Length() && !info_[index_].IsNull()) return false;
    index_++;
    return true;
  }
  template <class Accepts>
  Array tensor(int64_t count, const char* what, Accepts accepts) {
    const Buffer* b = bufferOf(integer());
    if (!b || !accepts(b->array.type) || b->elements < count) fail(("a tensor of at least " + std::to_string(count) + " " + what).c_str());
    return b->array;
  }

  const Napi::CallbackInfo& info_;
  size_t index_ = 0;
  Napi::Value last_;
};

// Reads arguments to the end with `read`, which takes those of a group of tensors, and has `submit` do the work of what was read. When
// not all groups have room on the device at once, it is done in parts: what was submitted may leave before the next is read.
template <class Read, class Submit>
void inParts(Args& a, Read read, Submit submit) {
  size_t groups = 0;
  while (!a.atEnd()) {
    const size_t start = a.position();
    try {
      read();
      groups++;
    } catch (const Failure& f) {
      if (f.code != "out_of_memory" || groups == 0) throw;
      submit();
      groups = 0;
      beginOperation();
      a.goTo(start);
    }
  }
  submit();
}

// Adds a function; what it throws becomes a JavaScript error with `code` and `remedy`.
template <class F>
void add(Napi::Env env, Napi::Object exports, const char* name, F body) {
  exports.Set(name, Napi::Function::New(env, [body](const Napi::CallbackInfo& info) -> Napi::Value {
    std::string code = "internal", message, remedy;
    try {
      beginOperation();
      Args a(info);
      if constexpr (std::is_void_v<decltype(body(a))>) {
        body(a);
        return info.Env().Undefined();
      } else {
        return body(a);
      }
    } catch (const Failure& f) {
      code = f.code;
      message = f.what();
      remedy = f.remedy;
    } catch (const std::exception& e) {
      message = e.what();
    }
    const Napi::Error error = Napi::Error::New(info.Env(), message);
    error.Value().Set("code", code);
    error.Value().Set("remedy", remedy);
    error.ThrowAsJavaScriptException();
    return info.Env().Undefined();
  }, name));
}

// Runs a check of integers on their values on the host; a step that is being captured repeats it before each launch.
template <class Check>
void checked(const char* name, const std::vector<CheckedInts>& ints, Check check) {
  std::vector<const int32_t*> host;
  for (const CheckedInts& i : ints) host.push_back(i.host);
  check(host);
  if (context().capture) context().capture->require(name, ints, check);
}

void addCapture(Napi::Env env, Napi::Object exports);
// Before the device is closed.
void dropCapturedSteps();
void addRuntime(Napi::Env env, Napi::Object exports);
void addKernels(Napi::Env env, Napi::Object exports);
void addOps(Napi::Env env, Napi::Object exports);
void closeWithThread(Napi::Env env);

}  // namespace cuda
}  // namespace tunesmith
