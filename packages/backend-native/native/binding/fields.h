// The fields of a call, with arrays in the host's memory: a short one throws a WrongField, and never crashes.
#pragma once
#include <call_fields.h>

#include "../common.h"

namespace tunesmith {

// A kernel found no memory to work in; JavaScript gets false.
struct NoMemory {};
inline void needMemory(bool had) {
  if (!had) throw NoMemory();
}
inline void gemm(int64_t m, int64_t n, const Term* terms, int count, const GemmOutput& out) {
  needMemory(kernels().gemm(m, n, terms, count, out));
}

class Fields : public CallFields {
 public:
  using CallFields::CallFields;

  int64_t count(const char* name) { return wholeNumber(number(name, "a count"), quoted(name)); }
  float real(const char* name) { return static_cast<float>(number(name)); }
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

  Matrix weight() {
    return readWeight<Matrix>(*this, [this](const char* name, int64_t n) { return floats(name, n); });
  }
  Dropout dropout(const char* rate) { return readDropout<Dropout>(*this, rate); }
  static int64_t product(int64_t a, int64_t b) { return tunesmith::product(a, b); }

 private:
  void* array(const char* name, napi_typedarray_type type, const char* what, int64_t count) {
    size_t length = 0;
    void* data = CallFields::array(name, type, what, length);
    if (count < 0 || length < static_cast<size_t>(count))
      fail(name,
          std::string(what) + " of at least " + std::to_string(count) + " elements, got " + std::to_string(length));
    // An empty array has no address; kernels with nothing to do never look at it.
    static char nothing[64];
    return data ? data : nothing;
  }
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
