// A call from JavaScript: the names of its fields, fixed when the function was made, and their values. Reading checks:
// a wrong type or a short array throws a WrongField that names the field, and never crashes.
#pragma once
#include <napi.h>

#include <cstring>
#include <string>
#include <vector>

#include "../common.h"

namespace tunesmith {

// A field that does not fit; JavaScript gets a TypeError.
struct WrongField {
  std::string message;
};
// A kernel found no memory to work in; JavaScript gets false.
struct NoMemory {};
inline void needMemory(bool had) {
  if (!had) throw NoMemory();
}
inline void gemm(int64_t m, int64_t n, const Term* terms, int count, const GemmOutput& out) {
  needMemory(kernels().gemm(m, n, terms, count, out));
}

using Names = std::vector<std::string>;

class Fields {
 public:
  Fields(const Napi::CallbackInfo& info, const Names& names) : info_(info), names_(names) {}

  // Whether the field is given and not null.
  bool has(const char* name) {
    napi_valuetype type = napi_undefined;
    if (const napi_value v = find(name)) napi_typeof(info_.Env(), v, &type);
    return type != napi_undefined && type != napi_null;
  }

  int64_t count(const char* name) {
    const double d = number(name, "a count");
    if (!(d >= 0 && d <= 9007199254740991.0) || d != static_cast<double>(static_cast<int64_t>(d)))
      fail(name, "a count");
    return static_cast<int64_t>(d);
  }
  double number(const char* name, const char* expected = "a number") {
    double d = 0;
    if (napi_get_value_double(info_.Env(), at(name, expected), &d) != napi_ok) fail(name, expected);
    return d;
  }
  float real(const char* name) { return static_cast<float>(number(name)); }
  bool boolean(const char* name) {
    bool b = false;
    if (napi_get_value_bool(info_.Env(), at(name, "a boolean"), &b) != napi_ok) fail(name, "a boolean");
    return b;
  }
  float* floats(const char* name, int64_t count) {
    return static_cast<float*>(array(name, napi_float32_array, "a Float32Array", count));
  }
  float* optionalFloats(const char* name, int64_t count) { return has(name) ? floats(name, count) : nullptr; }
  int32_t* ints(const char* name, int64_t count) {
    return static_cast<int32_t*>(array(name, napi_int32_array, "an Int32Array", count));
  }
  int32_t* optionalInts(const char* name, int64_t count) { return has(name) ? ints(name, count) : nullptr; }

  double* doubles(const char* name, int64_t count) {
    return static_cast<double*>(array(name, napi_float64_array, "a Float64Array", count));
  }

  // A weight [outFeatures, inFeatures]: format, roundTo, blockSize, then weight, absmax, code and scale as its format
  // has them.
  Matrix weight() {
    Matrix w;
    const int64_t format = count("format"), rounding = count("roundTo");
    w.rows = count("outFeatures");
    w.cols = count("inFeatures");
    w.blockSize = count("blockSize");
    // f32, bf16, f16, nf4, fp4, int8
    static constexpr Format kFormats[] = {kF32, kBF16, kF16, kNF4, kNF4, kINT8};
    if (format > 5 || rounding > kToF16) fail("format", "a weight format");
    w.rounding = static_cast<Rounding>(rounding);
    w.format = kFormats[format];
    if (w.format == kNF4 && w.blockSize < 1) fail("blockSize", "at least one element");
    if (w.format != kNF4) w.blockSize = 1;
    const int64_t n = product(w.rows, w.cols);
    if (w.format == kF32) {
      w.data = floats("weight", n);
    } else {
      const int64_t bytes = w.format == kBF16 || w.format == kF16 ? 2 * n : w.format == kINT8 ? n : (n + 1) / 2;
      w.data = ints("weight", (bytes + 3) / 4);
    }
    if (w.format == kNF4) {
      w.scale = floats("absmax", (n + w.blockSize - 1) / w.blockSize);
      w.code = floats("code", 16);
    }
    if (w.format == kINT8) w.scale = floats("scale", w.rows);
    return w;
  }

  Dropout dropout(const char* rate) {
    Dropout d;
    const double p = number(rate), seed = number("seed");
    if (!(p >= 0 && p < 1)) fail(rate, "a dropout probability in [0, 1)");
    d.on = p > 0;
    d.seed = static_cast<uint32_t>(static_cast<int64_t>(seed));
    d.threshold = static_cast<uint32_t>(static_cast<uint64_t>(p * 4294967296.0));
    d.keepScale = static_cast<float>(1.0 / (1.0 - p));
    return d;
  }

  // a * b, when the product is in the range of sizes.
  static int64_t product(int64_t a, int64_t b) {
    int64_t r = 0;
    if (__builtin_mul_overflow(a, b, &r) || r > (int64_t{1} << 46)) throw WrongField{"expected a smaller size"};
    return r;
  }

  [[noreturn]] static void fail(const char* name, const std::string& expected) {
    throw WrongField{"\"" + std::string(name) + "\": expected " + expected};
  }

 private:
  // Fields are mostly read in their order: the search begins behind the last one found. Null when there is none.
  napi_value find(const char* name) {
    for (size_t i = 0; i < names_.size(); i++) {
      const size_t place = last_ + i < names_.size() ? last_ + i : last_ + i - names_.size();
      if (names_[place][0] != name[0] || std::strcmp(names_[place].c_str(), name)) continue;
      last_ = place;
      return place < info_.Length() ? static_cast<napi_value>(info_[place]) : nullptr;
    }
    return nullptr;
  }
  napi_value at(const char* name, const char* expected) {
    const napi_value v = find(name);
    if (!v) fail(name, expected);
    return v;
  }

  void* array(const char* name, napi_typedarray_type type, const char* what, int64_t count) {
    const napi_value v = at(name, what);
    napi_typedarray_type actual;
    size_t length = 0;
    void* data = nullptr;
    bool is = false;
    napi_is_typedarray(info_.Env(), v, &is);
    if (!is || napi_get_typedarray_info(info_.Env(), v, &actual, &length, &data, nullptr, nullptr) != napi_ok ||
        actual != type)
      fail(name, what);
    if (count < 0 || length < static_cast<size_t>(count))
      fail(name,
          std::string(what) + " of at least " + std::to_string(count) + " elements, got " + std::to_string(length));
    // An empty array has no address; kernels with nothing to do never look at it.
    static char nothing[64];
    return data ? data : nothing;
  }

  const Napi::CallbackInfo& info_;
  const Names& names_;
  size_t last_ = 0;
};

// A kernel or operation, which computes with the fields of a call.
struct NamedBody {
  const char* name;
  void (*body)(Fields& f);
};

// What the files of bindings have to call.
const std::vector<NamedBody>& linearKernels();
const std::vector<NamedBody>& blockKernels();
const std::vector<NamedBody>& operations();

}  // namespace tunesmith
