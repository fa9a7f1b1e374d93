#include "lab.h"

#include <algorithm>

#include "../host/failure.h"
#ifdef TUNESMITH_EMULATED_BUILD
#include "../emulator/streams.h"
#endif

namespace tunesmith::cuda {

float roundToBf16(float x) {
  uint32_t u;
  std::memcpy(&u, &x, 4);
  u = (u & 0x7fffffffu) > 0x7f800000u ? 0x7fff0000u : (u + 0x7fffu + ((u >> 16) & 1u)) & 0xffff0000u;
  std::memcpy(&x, &u, 4);
  return x;
}

float halfValue(uint16_t bits) {
  const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  const double finite = std::ldexp(exponent == 0 ? mantissa : 1024 + mantissa, std::max(exponent, 1) - 25);
  const double size = exponent < 31 ? finite : mantissa ? NAN : INFINITY;
  return static_cast<float>(bits & 0x8000 ? -size : size);
}

// Ties to even, subnormals included: to a multiple of the distance between neighbours at this size.
float roundToHalf(float x) {
  if (x == 0 || !std::isfinite(x)) return x;
  const int exponent = std::max(std::ilogb(x), -14);
  const double step = std::ldexp(1.0, exponent - 10);
  return static_cast<float>(std::nearbyint(static_cast<double>(x) / step) * step);
}

#ifdef TUNESMITH_EMULATED_BUILD
void* Lab::allocate(size_t bytes) { return std::malloc(bytes ? bytes : 1); }
void Lab::release(void* pointer) {
  emulator::drainAll();  // as cudaFree
  std::free(pointer);
}
#else
void* Lab::allocate(size_t bytes) {
  void* p = runtime.allocate(bytes ? bytes : 1);
  if (!p) throw Failure("out_of_memory", "no GPU memory for " + std::to_string(bytes) + " bytes of " + running);
  return p;
}
void Lab::release(void* pointer) { runtime.release(pointer); }
#endif

void Lab::write(void* to, const void* from, size_t bytes) {
  if (bytes == 0) return;
  runtime.copyToDevice(to, from, bytes, stream);
  runtime.synchronize(stream);
}
void Lab::read(void* to, const void* from, size_t bytes) {
  if (bytes == 0) return;
  runtime.copyToHost(to, from, bytes, stream);
  runtime.synchronize(stream);
}

DeviceArray::DeviceArray(Lab& lab, int64_t elements, Type type, Content content, double scale)
    : lab_(lab), type_(type), values_(static_cast<size_t>(elements)) {
  memory_ = lab.allocate(values_.size() * bytesOf(type));
  if (content == Content::output) {
    if (lab.poison) lab.runtime.setBytes(memory_, 0xff, values_.size() * bytesOf(type), lab.stream);
    return;
  }
  if (content == Content::random)
    for (double& x : values_) x = lab.random.real(-scale, scale);
  put();
}

DeviceArray::DeviceArray(Lab& lab, Type type, std::vector<double> values)
    : lab_(lab), type_(type), values_(std::move(values)), memory_(lab.allocate(values_.size() * bytesOf(type))) {
  put();
}

void DeviceArray::put() {
  const size_t n = values_.size();
  std::vector<uint8_t> bytes(n * bytesOf(type_));
  for (size_t i = 0; i < n; i++) {
    if (type_ == Type::i32) {
      const int32_t x = static_cast<int32_t>(values_[i]);
      std::memcpy(&bytes[4 * i], &x, 4);
      continue;
    }
    const float x = type_ == Type::bf16 ? roundToBf16(static_cast<float>(values_[i])) : static_cast<float>(values_[i]);
    values_[i] = static_cast<double>(x);
    uint32_t u;
    std::memcpy(&u, &x, 4);
    const uint16_t high = static_cast<uint16_t>(u >> 16);
    if (type_ == Type::bf16)
      std::memcpy(&bytes[2 * i], &high, 2);
    else
      std::memcpy(&bytes[4 * i], &x, 4);
  }
  lab_.write(memory_, bytes.data(), bytes.size());
}

std::vector<double> DeviceArray::now() const {
  std::vector<double> values(values_.size());
  std::vector<uint8_t> bytes(values.size() * bytesOf(type_));
  lab_.read(bytes.data(), memory_, bytes.size());
  for (size_t i = 0; i < values.size(); i++) {
    if (type_ == Type::i32) {
      int32_t x;
      std::memcpy(&x, &bytes[4 * i], 4);
      values[i] = x;
      continue;
    }
    uint32_t u = 0;
    if (type_ == Type::bf16)
      u = static_cast<uint32_t>(bytes[2 * i] | bytes[2 * i + 1] << 8) << 16;
    else
      std::memcpy(&u, &bytes[4 * i], 4);
    float x;
    std::memcpy(&x, &u, 4);
    values[i] = static_cast<double>(x);
  }
  return values;
}

WeightSample::WeightSample(Lab& lab, Format format, int64_t rows, int64_t cols, int64_t blockSize, Rounding rounding) {
  const int64_t n = rows * cols;
  values.resize(static_cast<size_t>(n));
  w.format = format;
  w.rounding = rounding;
  w.rows = rows;
  w.cols = cols;
  w.blockSize = blockSize;
  if (format == Format::f32) {
    for (int64_t i = 0; i < n; i++) {
      const float x = static_cast<float>(lab.random.real());
      bytes_.resize(static_cast<size_t>(4 * i + 4));
      std::memcpy(&bytes_[static_cast<size_t>(4 * i)], &x, 4);
      values[static_cast<size_t>(i)] = static_cast<double>(x);
    }
  } else if (format == Format::bf16 || format == Format::f16) {
    for (int64_t i = 0; i < n; i++) {
      uint16_t bits = static_cast<uint16_t>(lab.random.integer(0, 65535));
      // No infinities; up to 1, so that none drowns the others. Float16 keeps its subnormals.
      bits = format == Format::f16 ? static_cast<uint16_t>((bits & 0x83ff) | (bits % 15) << 10)
                                   : static_cast<uint16_t>((bits & 0x807f) | (lab.random.integer(110, 126) << 7));
      bytes_.push_back(static_cast<uint8_t>(bits & 255));
      bytes_.push_back(static_cast<uint8_t>(bits >> 8));
      const uint32_t wide = static_cast<uint32_t>(bits) << 16;
      float x;
      std::memcpy(&x, &wide, 4);
      values[static_cast<size_t>(i)] = static_cast<double>(format == Format::f16 ? halfValue(bits) : x);
    }
  } else {
    const bool nf4 = format == Format::nf4;
    for (int64_t i = 0; i < (nf4 ? ceilDiv(n, blockSize) : rows); i++) scales_.push_back(lab.random.real(0.5, 2));
    for (int i = 0; nf4 && i < 16; i++) codes_.push_back(lab.random.real());
    scale_ = std::make_unique<DeviceArray>(lab, Type::f32, scales_);
    if (nf4) code_ = std::make_unique<DeviceArray>(lab, Type::f32, codes_);
    // The launches read NF4 by words of eight elements, which the last one may only partly fill.
    for (int64_t i = 0; i < (nf4 ? ceilDiv(n, 8) * 4 : n); i++)
      bytes_.push_back(static_cast<uint8_t>(lab.random.integer(0, 255)));
    for (int64_t i = 0; i < n; i++) {
      const uint8_t byte = bytes_[static_cast<size_t>(nf4 ? i / 2 : i)];
      const float scale = static_cast<float>((*scale_)[nf4 ? i / blockSize : i / cols]);
      float x = nf4 ? static_cast<float>((*code_)[i % 2 ? byte & 15 : byte >> 4]) * scale
                    : static_cast<float>(static_cast<int8_t>(byte)) * scale;
      if (nf4 && rounding == Rounding::bf16) x = roundToBf16(x);
      if (nf4 && rounding == Rounding::f16) x = roundToHalf(x);
      values[static_cast<size_t>(i)] = static_cast<double>(x);
    }
    w.scale = scale_->floats();
    w.code = nf4 ? code_->floats() : nullptr;
  }
  data_ = std::make_unique<Bytes>(lab, bytes_);
  w.data = data_->data();
}

void compare(Lab& lab, const std::string& what, const std::vector<double>& got, const std::vector<double>& want,
    double tolerance, double atLeast) {
  const std::string where = lab.running + ": " + what;
  if (got.size() != want.size())
    return expect(
        false, where + ": " + std::to_string(got.size()) + " elements instead of " + std::to_string(want.size()));
  double largest = atLeast;
  for (double x : want) largest = std::max(largest, std::fabs(x));
  size_t worst = 0, bad = 0;
  double most = -1;
  for (size_t i = 0; i < want.size(); i++) {
    const double off = std::fabs(got[i] - want[i]);
    const bool good = off <= tolerance * largest;  // NaN is not
    bad += good ? 0 : 1;
    if (!good && !(off <= most)) {
      worst = i;
      most = std::isnan(off) ? INFINITY : off;
    }
  }
  char text[160] = "";
  if (bad)
    std::snprintf(text, sizeof text, ": %zu of %zu are off; [%zu] is %.9g, not %.9g; largest %.4g", bad, want.size(),
        worst, got[worst], want[worst], largest);
  expect(bad == 0, where + text);
}

double apply(Binary op, double a, double b) {
  // In the order of Binary.
  static constexpr double (*kAll[])(double a, double b) = {
      [](double a, double b) { return a + b; },
      [](double a, double b) { return a - b; },
      [](double a, double b) { return a * b; },
      [](double a, double b) { return a / b; },
      [](double a, double b) { return std::max(a, b); },
      [](double a, double b) { return std::min(a, b); },
      [](double a, double b) { return std::pow(a, b); },
      [](double a, double b) { return std::floor(a / b); },
      [](double a, double b) { return a - std::floor(a / b) * b; },
      [](double a, double b) { return (a - b) * (a - b); },
      [](double a, double b) { return static_cast<double>(a == b); },
      [](double a, double b) { return static_cast<double>(a != b); },
      [](double a, double b) { return static_cast<double>(a > b); },
      [](double a, double b) { return static_cast<double>(a >= b); },
      [](double a, double b) { return static_cast<double>(a < b); },
      [](double a, double b) { return static_cast<double>(a <= b); },
      [](double a, double b) { return static_cast<double>(a != 0 && b != 0); },
      [](double a, double b) { return static_cast<double>(a != 0 || b != 0); },
      [](double a, double b) { return b >= 0 ? a : a * (b + 1); },
  };
  return kAll[static_cast<int>(op)](a, b);
}

}  // namespace tunesmith::cuda
