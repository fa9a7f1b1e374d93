// A call from JavaScript, as the addons of backend-native and backend-cuda read it: the names of its fields, fixed when
// the function was made, and their values. Reading checks: a wrong type throws a WrongField that names the field.
#pragma once
#include <napi.h>

#include <cstring>
#include <string>
#include <vector>

namespace tunesmith {

// A value that does not fit.
struct WrongField {
  std::string message;
};
[[noreturn]] inline void refuse(const std::string& what, const std::string& expected) {
  throw WrongField{what + ": expected " + expected};
}
inline std::string quoted(const char* name) { return "\"" + std::string(name) + "\""; }

// A count that a JavaScript number can hold.
inline int64_t wholeNumber(double d, const std::string& what) {
  if (!(d >= 0 && d <= 9007199254740991.0) || d != static_cast<double>(static_cast<int64_t>(d)))
    refuse(what, "a count");
  return static_cast<int64_t>(d);
}
// a * b, when the product is in the range of sizes.
inline int64_t product(int64_t a, int64_t b) {
  int64_t r = 0;
  if (__builtin_mul_overflow(a, b, &r) || r > (int64_t{1} << 46)) throw WrongField{"expected a smaller size"};
  return r;
}

using Names = std::vector<std::string>;

// The place of a name, from `last` on, as fields are mostly read in order; the number of names if there is none.
inline size_t placeOf(const Names& names, const char* name, size_t last) {
  for (size_t i = 0; i < names.size(); i++) {
    const size_t place = last + i < names.size() ? last + i : last + i - names.size();
    if (names[place][0] == name[0] && !std::strcmp(names[place].c_str(), name)) return place;
  }
  return names.size();
}

class CallFields {
 public:
  CallFields(const Napi::CallbackInfo& info, const Names& names) : info_(info), names_(names) {}

  // Whether the field is given and not null.
  bool has(const char* name) {
    napi_valuetype type = napi_undefined;
    if (const napi_value v = find(name)) napi_typeof(info_.Env(), v, &type);
    return type != napi_undefined && type != napi_null;
  }
  double number(const char* name, const char* expected = "a number") {
    double d = 0;
    if (napi_get_value_double(info_.Env(), at(name, expected), &d) != napi_ok) fail(name, expected);
    return d;
  }
  bool boolean(const char* name) {
    bool b = false;
    if (napi_get_value_bool(info_.Env(), at(name, "a boolean"), &b) != napi_ok) fail(name, "a boolean");
    return b;
  }
  [[noreturn]] static void fail(const char* name, const std::string& expected) { refuse(quoted(name), expected); }

 protected:
  void* array(const char* name, napi_typedarray_type type, const char* expected, size_t& length) {
    const napi_value v = at(name, expected);
    bool is = false;
    napi_is_typedarray(info_.Env(), v, &is);
    napi_typedarray_type actual = napi_int8_array;
    void* data = nullptr;
    if (!is || napi_get_typedarray_info(info_.Env(), v, &actual, &length, &data, nullptr, nullptr) != napi_ok ||
        actual != type)
      fail(name, expected);
    return data;
  }

 private:
  // Null when there is none.
  napi_value find(const char* name) {
    const size_t place = placeOf(names_, name, last_);
    if (place == names_.size()) return nullptr;
    last_ = place;
    return place < info_.Length() ? static_cast<napi_value>(info_[place]) : nullptr;
  }
  napi_value at(const char* name, const char* expected) {
    const napi_value v = find(name);
    if (!v) fail(name, expected);
    return v;
  }

  const Napi::CallbackInfo& info_;
  const Names& names_;
  size_t last_ = 0;
};

// A weight [outFeatures, inFeatures]: format, roundTo, blockSize, then weight, absmax, code and scale as its format has
// them. `floats(name, count)` reads float32 values.
template <class Weight, class Fields, class Floats> Weight readWeight(Fields& f, Floats floats) {
  Weight w;
  using Format = decltype(w.format);
  using Rounding = decltype(w.rounding);
  const int64_t format = f.count("format"), rounding = f.count("roundTo");
  w.rows = f.count("outFeatures");
  w.cols = f.count("inFeatures");
  w.blockSize = f.count("blockSize");
  if (format > 5 || rounding > 2) f.fail("format", "a weight format");
  // f32, bf16, f16, nf4, fp4, int8: FP4 is NF4 with another code table.
  static constexpr int kFormats[] = {0, 1, 2, 3, 3, 4}, kBits[] = {32, 16, 16, 4, 4, 8};
  w.format = static_cast<Format>(kFormats[format]);
  w.rounding = static_cast<Rounding>(rounding);
  const bool blocks = kBits[format] == 4;
  if (blocks && w.blockSize < 1) f.fail("blockSize", "at least one element");
  if (!blocks) w.blockSize = 1;
  const int64_t n = product(w.rows, w.cols);
  if (format == 0)
    w.data = floats("weight", n);
  else
    w.data = f.ints("weight", (n * kBits[format] + 31) / 32);
  if (blocks) {
    w.scale = floats("absmax", (n + w.blockSize - 1) / w.blockSize);
    w.code = floats("code", 16);
  }
  if (format == 5) w.scale = floats("scale", w.rows);
  return w;
}

// Dropout of the probability in the field `rate`, with the counter's `seed`.
template <class Dropout, class Fields> Dropout readDropout(Fields& f, const char* rate) {
  Dropout d;
  const double p = f.number(rate), seed = f.number("seed");
  if (!(p >= 0 && p < 1)) f.fail(rate, "a dropout probability in [0, 1)");
  d.on = p > 0;
  d.seed = static_cast<uint32_t>(static_cast<int64_t>(seed));
  d.threshold = static_cast<uint32_t>(static_cast<uint64_t>(p * 4294967296.0));
  d.keepScale = static_cast<float>(1.0 / (1.0 - p));
  return d;
}

}  // namespace tunesmith
