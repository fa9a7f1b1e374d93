// The plain operations between the others.
#include <algorithm>

#include "lab.h"

namespace tunesmith::cuda {
namespace {

Type typeFrom(Lab& lab) { return lab.random.coin() ? Type::f32 : Type::bf16; }

void binaries(Lab& lab) {
  for (Binary op : {Binary::add, Binary::sub, Binary::mul, Binary::div, Binary::max, Binary::min})
    for (int mode = 0; mode <= 4; mode++) {
      const int64_t outer = lab.random.integer(1, 30),
                    inner = mode == 0 && lab.random.coin() ? 8 * lab.random.integer(1, 40) : lab.random.integer(1, 300),
                    n = outer * inner;
      const Type same = typeFrom(lab), first = mode ? typeFrom(lab) : same, second = mode ? typeFrom(lab) : same,
                 third = mode ? typeFrom(lab) : same;
      std::vector<double> away;  // from zero, so that quotients stay small
      // Of the operand that is a row in mode `row` and a column in mode `column`: its size, and the place of element i.
      const auto sizeOf = [&](int row, int column) { return mode == row ? inner : mode == column ? outer : n; };
      const auto at = [&](int row, int column, int64_t i) {
        return mode == row ? i % inner : mode == column ? i / inner : i;
      };
      for (int64_t i = 0; i < sizeOf(1, 2); i++) away.push_back(lab.random.real(0.5, 2) * (lab.random.coin() ? 1 : -1));
      const DeviceArray a(lab, sizeOf(3, 4), first), b(lab, second, away), y(lab, n, third, Content::output);
      binary(lab.stream, op, mode, a, b, y, outer, inner);
      std::vector<double> want;
      for (int64_t i = 0; i < n; i++) want.push_back(apply(op, a[at(3, 4, i)], b[at(1, 2, i)]));
      compare(lab, "operation " + std::to_string(static_cast<int>(op)) + ", mode " + std::to_string(mode), y.now(),
          want, toleranceOf(third));
    }
}

constexpr double kP = 0.125, kQ = 0.75;  // exact in both types
// In the order of Unary; the last four of numbers that are not zero.
constexpr double (*kUnary[])(double x) = {
    [](double x) { return -x; },
    [](double x) { return x * x; },
    [](double x) { return std::sqrt(x); },
    [](double x) { return 1 / std::sqrt(x); },
    [](double x) { return std::exp(x); },
    [](double x) { return std::log(x); },
    [](double x) { return std::tanh(x); },
    [](double x) { return 1 / (1 + std::exp(-x)); },
    [](double x) { return std::max(x, 0.0); },
    [](double x) { return std::fabs(x); },
    [](double x) { return 1 / x; },
    [](double x) { return x > 0 ? 1.0 : -1.0; },
    [](double x) { return std::floor(x); },
    [](double x) { return std::ceil(x); },
    [](double x) { return std::nearbyint(x); },
    [](double x) { return std::erf(x); },
    [](double x) { return std::log1p(x); },
    [](double x) { return std::expm1(x); },
    [](double x) { return std::log1p(std::exp(x)); },
    [](double x) { return x > 0 ? 1 : kP; },
    [](double x) { return x < 0 ? kP * x : x; },
    [](double x) { return x < 0 ? std::expm1(x) : x; },
    [](double x) { return std::min(std::max(x, kP), kQ); },
    [](double) { return 0.0; },
    [](double) { return 0.0; },
    [](double) { return 0.0; },
    [](double) { return 1.0; },
};

void unaries(Lab& lab) {
  for (int op = 0; op <= static_cast<int>(Unary::isFinite); op++) {
    const Unary f = static_cast<Unary>(op);
    const bool positive =
        f == Unary::sqrt || f == Unary::rsqrt || f == Unary::log || f == Unary::log1p || f == Unary::reciprocal;
    const int64_t n = lab.random.integer(1, 3000);
    const Type from = typeFrom(lab), to = typeFrom(lab);
    std::vector<double> values;
    for (int64_t i = 0; i < n; i++) values.push_back(lab.random.real(positive ? 0.1 : -4, 4));
    const DeviceArray x(lab, from, values), y(lab, n, to, Content::output);
    unary(lab.stream, f, x, y, n, static_cast<float>(kP), static_cast<float>(kQ));
    std::vector<double> want;
    for (double v : x.given()) want.push_back(kUnary[op](v));
    compare(lab, "operation " + std::to_string(op), y.now(), want, toleranceOf(to));
  }
}

void integersByThemselves(Lab& lab) {
  const std::vector<int32_t> values = {0, 1, -1, 46340, 2147483647, -2147483647, 16777217};
  const DeviceArray x(lab, values), y(lab, static_cast<int64_t>(values.size()), Type::i32, Content::output);
  const auto check = [&](Unary op, const std::vector<double>& want) {
    unary(lab.stream, op, x, y, static_cast<int64_t>(values.size()), -5, 1e6f);
    compare(lab, "integers, operation " + std::to_string(static_cast<int>(op)), y.now(), want, 0);
  };
  check(Unary::neg, {0, -1, 1, -46340, -2147483647, 2147483647, -16777217});
  check(Unary::abs, {0, 1, 1, 46340, 2147483647, 2147483647, 16777217});
  check(Unary::relu, {0, 1, 0, 46340, 2147483647, 0, 16777217});
  check(Unary::sign, {0, 1, -1, 1, 1, -1, 1});
  check(Unary::clip, {0, 1, -1, 46340, 1e6, -5, 1e6});
  check(Unary::logicalNot, {1, 0, 0, 0, 0, 0, 0});
  // The last ones wrap around.
  check(Unary::square, {0, 1, 1, 2147395600, 1, 1, 33554433});
}

void conversions(Lab& lab) {
  for (Type from : {Type::f32, Type::bf16, Type::i32})
    for (Type to : {Type::f32, Type::bf16, Type::i32}) {
      const int64_t n = lab.random.integer(1, 3000);
      std::vector<double> values;
      for (int64_t i = 0; i < n; i++)
        values.push_back(from == Type::i32 ? static_cast<double>(lab.random.integer(-100000, 100000))
                                           : lab.random.real(-1000, 1000));
      const DeviceArray x(lab, from, values), y(lab, n, to, Content::output), filled(lab, n, to, Content::output);
      convert(lab.stream, x, y, n);
      std::vector<double> want = x.given();
      if (to == Type::i32)
        for (double& v : want) v = std::trunc(v);
      compare(lab, std::string("convert ") + nameOf(from) + " to " + nameOf(to), y.now(), want,
          to == Type::bf16 ? 1.0 / 256 : 0);
      fill(lab.stream, filled, -3, n);
      compare(lab, std::string("fill ") + nameOf(to), filled.now(), std::vector<double>(static_cast<size_t>(n), -3), 0);
    }
}

void softmaxes(Lab& lab) {
  for (Type type : kFloatTypes) {
    const int64_t rows = lab.random.integer(1, 20), cols = lab.random.integer(1, 3000);
    const DeviceArray x(lab, rows * cols, type, Content::random, 5), y(lab, rows * cols, type, Content::output);
    softmax(lab.stream, x, y, rows, cols);
    std::vector<double> want;
    for (int64_t r = 0; r < rows; r++) {
      double total = 0;
      for (int64_t i = 0; i < cols; i++) total += std::exp(x[r * cols + i]);
      for (int64_t i = 0; i < cols; i++) want.push_back(std::exp(x[r * cols + i]) / total);
    }
    compare(lab, nameOf(type), y.now(), want, toleranceOf(type));
  }
}

void reductions(Lab& lab) {
  for (Type type : kFloatTypes)
    for (bool rows : {true, false}) {
      const int64_t outer = lab.random.integer(1, 6), axis = lab.random.integer(1, 400),
                    inner = rows ? 1 : lab.random.integer(2, 300);
      const DeviceArray x(lab, outer * axis * inner, type), y(lab, outer * inner, Type::f32, Content::output),
          partial(lab, outer * inner * columnSplits(axis, inner), Type::f32, Content::output);
      reduceSum(lab.stream, x, y.floats(), partial.floats(), outer, axis, inner, 0.5f);
      std::vector<double> want(static_cast<size_t>(outer * inner));
      for (int64_t o = 0; o < outer; o++)
        for (int64_t a = 0; a < axis; a++)
          for (int64_t i = 0; i < inner; i++)
            want[static_cast<size_t>(o * inner + i)] += 0.5 * x[(o * axis + a) * inner + i];
      compare(lab, std::string(nameOf(type)) + (rows ? " along rows" : " down columns"), y.now(), want, 1e-5, 0.5);
    }
}

void layouts(Lab& lab) {
  for (Type from : kFloatTypes)
    for (Type to : kFloatTypes) {
      const int64_t rows = lab.random.integer(1, 130), cols = lab.random.integer(1, 130);
      const DeviceArray x(lab, rows * cols, from), y(lab, rows * cols, to, Content::output);
      transpose2d(lab.stream, x, y, rows, cols);
      std::vector<double> want;
      for (int64_t c = 0; c < cols; c++)
        for (int64_t r = 0; r < rows; r++) want.push_back(x[r * cols + c]);
      compare(lab, std::string("transpose ") + nameOf(from) + " to " + nameOf(to), y.now(), want,
          to == Type::bf16 ? 1.0 / 256 : 0);
    }
}

const AddCases kAdded = {{{"binary"}, binaries}, {{"unary"}, unaries}, {{"unary"}, integersByThemselves},
    {{"convert", "fill"}, conversions}, {{"softmax"}, softmaxes}, {{"reduceSum"}, reductions},
    {{"transpose2d"}, layouts}};

}  // namespace
}  // namespace tunesmith::cuda
