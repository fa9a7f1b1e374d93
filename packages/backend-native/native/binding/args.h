// Checked access to the arguments of a call from JavaScript: a wrong type or a short array throws, never crashes.
#pragma once
#include <napi.h>

#include <string>

#include "../common.h"

namespace tunesmith {

class Args {
 public:
  explicit Args(const Napi::CallbackInfo& info) : info_(info) {}

  // False once any argument was wrong; a JavaScript exception is then pending.
  bool ok() const { return ok_; }

  int64_t integer() {
    const Napi::Value v = next();
    if (!ok_) return 0;
    const double d = v.IsNumber() ? v.As<Napi::Number>().DoubleValue() : -1;
    if (!(d >= 0 && d <= 9007199254740991.0) || d != static_cast<double>(static_cast<int64_t>(d))) return fail("a count"), 0;
    return static_cast<int64_t>(d);
  }
  double number() {
    const Napi::Value v = next();
    if (!ok_) return 0;
    if (!v.IsNumber()) return fail("a number"), 0;
    return v.As<Napi::Number>().DoubleValue();
  }
  bool boolean() {
    const Napi::Value v = next();
    if (!ok_) return false;
    if (!v.IsBoolean()) return fail("a boolean"), false;
    return v.As<Napi::Boolean>().Value();
  }
  float* floats(int64_t count) { return static_cast<float*>(array(napi_float32_array, "a Float32Array", count, 4, false)); }
  float* optionalFloats(int64_t count) { return static_cast<float*>(array(napi_float32_array, "a Float32Array or null", count, 4, true)); }
  int32_t* ints(int64_t count) { return static_cast<int32_t*>(array(napi_int32_array, "an Int32Array", count, 4, false)); }
  int32_t* optionalInts(int64_t count) { return static_cast<int32_t*>(array(napi_int32_array, "an Int32Array or null", count, 4, true)); }

  // Eight arguments: format, rounding, rows, cols, blockSize, data, scale, code.
  Matrix matrix() {
    Matrix w;
    const int64_t format = integer();
    const int64_t rounding = integer();
    w.rows = integer();
    w.cols = integer();
    w.blockSize = integer();
    if (ok_ && (format > kINT8 || rounding > kToF16 || w.blockSize < 1)) fail("a weight format");
    if (!ok_) return w;
    w.rounding = static_cast<Rounding>(rounding);
    w.format = static_cast<Format>(format);
    const int64_t n = product(w.rows, w.cols);
    if (w.format == kF32) {
      w.data = floats(n);
    } else {
      const int64_t bytes = w.format == kBF16 || w.format == kF16 ? 2 * n : w.format == kINT8 ? n : (n + 1) / 2;
      w.data = ints((bytes + 3) / 4);
    }
    w.scale = optionalFloats(w.format == kNF4 ? (n + w.blockSize - 1) / w.blockSize : w.format == kINT8 ? w.rows : 0);
    w.code = optionalFloats(w.format == kNF4 ? 16 : 0);
    if (ok_ && ((w.format == kNF4 && (!w.scale || !w.code)) || (w.format == kINT8 && !w.scale))) fail("the weight's scales");
    return w;
  }

  Dropout dropout() {
    Dropout d;
    const double p = number();
    const double seed = number();
    if (!ok_) return d;
    if (!(p >= 0 && p < 1)) return fail("a dropout probability in [0, 1)"), d;
    d.on = p > 0;
    d.seed = static_cast<uint32_t>(static_cast<int64_t>(seed));
    d.threshold = static_cast<uint32_t>(static_cast<uint64_t>(p * 4294967296.0));
    d.keepScale = static_cast<float>(1.0 / (1.0 - p));
    return d;
  }

  // a * b, or an exception when the product leaves the range of sizes.
  int64_t product(int64_t a, int64_t b) {
    int64_t r = 0;
    if (__builtin_mul_overflow(a, b, &r) || r > (int64_t{1} << 46)) return fail("a smaller size"), 0;
    return r;
  }

  void fail(const char* expected) {
    if (!ok_) return;
    ok_ = false;
    Napi::TypeError::New(info_.Env(), "argument " + std::to_string(index_) + ": expected " + expected).ThrowAsJavaScriptException();
  }

 private:
  Napi::Value next() {
    if (index_ >= info_.Length()) {
      index_++;
      fail("a value");
      return info_.Env().Undefined();
    }
    return info_[index_++];
  }

  void* array(napi_typedarray_type type, const char* what, int64_t count, size_t elementSize, bool optional) {
    const Napi::Value v = next();
    if (!ok_) return nullptr;
    if (optional && (v.IsNull() || v.IsUndefined())) return nullptr;
    napi_typedarray_type actual;
    size_t length = 0;
    void* data = nullptr;
    if (!v.IsTypedArray() ||
        napi_get_typedarray_info(info_.Env(), v, &actual, &length, &data, nullptr, nullptr) != napi_ok || actual != type) {
      fail(what);
      return nullptr;
    }
    if (count < 0 || length < static_cast<size_t>(count)) {
      fail((std::string(what) + " of at least " + std::to_string(count) + " elements, got " + std::to_string(length)).c_str());
      return nullptr;
    }
    // An empty array has no address; kernels with nothing to do never look at it.
    static char nothing[64];
    (void)elementSize;
    return data ? data : nothing;
  }

  const Napi::CallbackInfo& info_;
  size_t index_ = 0;
  bool ok_ = true;
};

inline Napi::Value result(const Napi::CallbackInfo& info, bool enoughMemory) { return Napi::Boolean::New(info.Env(), enoughMemory); }

// Each file of bindings adds its functions.
void addLinear(Napi::Env env, Napi::Object exports);
void addBlocks(Napi::Env env, Napi::Object exports);
void addOps(Napi::Env env, Napi::Object exports);
void addRuntime(Napi::Env env, Napi::Object exports);

}  // namespace tunesmith
