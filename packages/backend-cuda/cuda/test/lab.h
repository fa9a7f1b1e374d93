// What the tests of kernels share, on a GPU and on the emulator alike: device memory of exactly the size that is asked
// for, so that memcheck and AddressSanitizer see the first element too far; fresh random numbers; float64.
#pragma once
#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <random>

#include "../device/kernels.h"
#include "../host/launch_geometry.h"
#include "test.h"

namespace tunesmith::cuda {

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  double real(double low = -1, double high = 1) {
    return low + (high - low) * (static_cast<double>(engine_() >> 11) / 9007199254740992.0);
  }
  int64_t integer(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(engine_() % static_cast<uint64_t>(high - low + 1));
  }
  bool coin() { return engine_() & 1; }

 private:
  std::mt19937_64 engine_;
};

float roundToBf16(float x);
float roundToHalf(float x);
float halfValue(uint16_t bits);

// The device under test and how it is tested.
struct Lab {
  Runtime& runtime;
  Stream stream;
  Random random;
  bool poison = true;  // outputs start as NaN; off for initcheck, which then sees what no kernel wrote
  std::set<std::string> covered{};
  std::string running{};

  void* allocate(size_t bytes);
  void release(void* pointer);
  void write(void* to, const void* from, size_t bytes);
  void read(void* to, const void* from, size_t bytes);
};

enum class Content { random, output, zero };

// Device memory and a host copy of what was put into it, as doubles.
class DeviceArray {
 public:
  DeviceArray(Lab& lab, int64_t elements, Type type, Content content = Content::random, double scale = 1);
  DeviceArray(Lab& lab, Type type, std::vector<double> values);
  DeviceArray(Lab& lab, const std::vector<int32_t>& values)
      : DeviceArray(lab, Type::i32, std::vector<double>(values.begin(), values.end())) {}
  ~DeviceArray() { lab_.release(memory_); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  const std::vector<double>& given() const { return values_; }
  double operator[](int64_t i) const { return values_[static_cast<size_t>(i)]; }
  std::vector<double> now() const;
  operator Array() const { return {memory_, type_}; }
  float* floats() const { return static_cast<float*>(memory_); }
  int32_t* ints() const { return static_cast<int32_t*>(memory_); }
  double* doubles() const { return static_cast<double*>(memory_); }

 private:
  void put();
  Lab& lab_;
  Type type_;
  std::vector<double> values_;
  void* memory_;
};

// Bytes as they are.
class Bytes {
 public:
  Bytes(Lab& lab, std::vector<uint8_t> content)
      : lab_(lab), content_(std::move(content)), memory_(lab.allocate(content_.size())) {
    lab.write(memory_, content_.data(), content_.size());
  }
  ~Bytes() { lab_.release(memory_); }
  Bytes(const Bytes&) = delete;
  Bytes& operator=(const Bytes&) = delete;
  const std::vector<uint8_t>& given() const { return content_; }
  std::vector<uint8_t> now() const {
    std::vector<uint8_t> bytes(content_.size());
    lab_.read(bytes.data(), memory_, bytes.size());
    return bytes;
  }
  uint8_t* data() const { return static_cast<uint8_t*>(memory_); }

 private:
  Lab& lab_;
  std::vector<uint8_t> content_;
  void* memory_;
};

// A random weight in a format, and the values it stands for.
class WeightSample {
 public:
  WeightSample(
      Lab& lab, Format format, int64_t rows, int64_t cols, int64_t blockSize = 64, Rounding rounding = Rounding::none);
  Weight w;
  std::vector<double> values;

 private:
  std::vector<double> codes_, scales_;
  std::vector<uint8_t> bytes_;
  std::unique_ptr<DeviceArray> code_, scale_;
  std::unique_ptr<Bytes> data_;
};

// Fails when any element is further from `want` than `tolerance` times the largest magnitude of `want` (or `atLeast`,
// where terms cancel), or is not a number.
void compare(Lab& lab, const std::string& what, const std::vector<double>& got, const std::vector<double>& want,
    double tolerance, double atLeast = 0);
inline double toleranceOf(Type type) { return type == Type::bf16 ? 1e-2 : 1e-5; }
inline const char* nameOf(Type type) { return type == Type::bf16 ? "bf16" : type == Type::f32 ? "f32" : "i32"; }
// The binary operations in float64.
double apply(Binary op, double a, double b);
constexpr Type kFloatTypes[] = {Type::f32, Type::bf16};

// A test of one or more of the launches in device/kernels.h, by their names there.
struct Case {
  std::vector<std::string> kernels;
  std::function<void(Lab&)> run;
};
// Those of all files, of which each adds its own before `main`.
inline std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}
struct AddCases {
  AddCases(std::initializer_list<Case> some) { cases().insert(cases().end(), some); }
};
// Arrays of more than 2^31 elements: only on a GPU that has the memory. False when it has not.
bool testLargeArrays(Lab& lab);

}  // namespace tunesmith::cuda
