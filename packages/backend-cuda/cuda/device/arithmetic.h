// What the plain operations compute for one element, with TensorFlow.js' answers at the edges.
#pragma once
#include "any.h"

namespace tunesmith::cuda {

__device__ __forceinline__ float floored(float a, float b) { return floorf(a / b); }
__device__ __forceinline__ int32_t floored(int32_t a, int32_t b) {
  // What JavaScript stores for a division by zero; the most negative number has no opposite.
  if (b == 0) return 0;
  if (b == -1) return static_cast<int32_t>(0u - static_cast<uint32_t>(a));
  const int32_t q = a / b;
  return q * b != a && (a < 0) != (b < 0) ? q - 1 : q;
}
// With the sign of the divisor.
__device__ __forceinline__ float modulo(float a, float b) {
  const float r = fmodf(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
__device__ __forceinline__ int32_t modulo(int32_t a, int32_t b) {
  if (b == 0 || b == -1) return 0;
  const int32_t r = a % b;
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
__device__ __forceinline__ float raised(float a, float b) { return powf(a, b); }
__device__ __forceinline__ int32_t raised(int32_t a, int32_t b) {
  return toInt(static_cast<float>(pow(static_cast<double>(a), static_cast<double>(b))));
}
__device__ __forceinline__ float divided(float a, float b) { return a / b; }
__device__ __forceinline__ int32_t divided(int32_t a, int32_t b) { return floored(a, b); }
// int32 wraps around, as it does in JavaScript's arrays.
__device__ __forceinline__ float sum(float a, float b) { return a + b; }
__device__ __forceinline__ float difference(float a, float b) { return a - b; }
__device__ __forceinline__ float product(float a, float b) { return a * b; }
__device__ __forceinline__ int32_t sum(int32_t a, int32_t b) {
  return static_cast<int32_t>(static_cast<uint32_t>(a) + static_cast<uint32_t>(b));
}
__device__ __forceinline__ int32_t difference(int32_t a, int32_t b) {
  return static_cast<int32_t>(static_cast<uint32_t>(a) - static_cast<uint32_t>(b));
}
__device__ __forceinline__ int32_t product(int32_t a, int32_t b) {
  return static_cast<int32_t>(static_cast<uint32_t>(a) * static_cast<uint32_t>(b));
}

template <class Number> __device__ __forceinline__ Number apply(Binary op, Number a, Number b) {
  switch (op) {
    case Binary::add: return sum(a, b);
    case Binary::sub: return difference(a, b);
    case Binary::mul: return product(a, b);
    case Binary::div: return divided(a, b);
    // NaN wins, as in TensorFlow.js.
    case Binary::max: return a > b || a != a ? a : b;
    case Binary::min: return a < b || a != a ? a : b;
    case Binary::pow: return raised(a, b);
    case Binary::floorDiv: return floored(a, b);
    case Binary::mod: return modulo(a, b);
    case Binary::squaredDifference: {
      const Number d = difference(a, b);
      return product(d, d);
    }
    case Binary::equal: return static_cast<Number>(a == b);
    case Binary::notEqual: return static_cast<Number>(a != b);
    case Binary::greater: return static_cast<Number>(a > b);
    case Binary::greaterEqual: return static_cast<Number>(a >= b);
    case Binary::less: return static_cast<Number>(a < b);
    case Binary::lessEqual: return static_cast<Number>(a <= b);
    case Binary::logicalAnd: return static_cast<Number>(a != 0 && b != 0);
    case Binary::logicalOr: return static_cast<Number>(a != 0 || b != 0);
    default:  // eluGrad: dy and the result
      return b >= 0 ? a : product(a, sum(b, static_cast<Number>(1)));
  }
}

// p and q are the operation's numbers: a slope, bounds.
__device__ __forceinline__ float apply(Unary op, float x, float p, float q) {
  switch (op) {
    case Unary::neg: return -x;
    case Unary::square: return x * x;
    case Unary::sqrt: return sqrtf(x);
    case Unary::rsqrt: return 1.0f / sqrtf(x);
    case Unary::exp: return expf(x);
    case Unary::log: return logf(x);
    case Unary::tanh: return tanhf(x);
    case Unary::sigmoid: return 1.0f / (1.0f + expf(-x));
    case Unary::relu: return x > 0 || x != x ? x : 0.0f;
    case Unary::abs: return fabsf(x);
    case Unary::reciprocal: return 1.0f / x;
    case Unary::sign: return x > 0 ? 1.0f : x < 0 ? -1.0f : 0.0f;
    case Unary::floor: return floorf(x);
    case Unary::ceil: return ceilf(x);
    case Unary::round: return rintf(x);
    case Unary::erf: return erff(x);
    case Unary::log1p: return log1pf(x);
    case Unary::expm1: return expm1f(x);
    case Unary::softplus: return x > 20.0f ? x : log1pf(expf(x));
    case Unary::step: return x != x ? x : x > 0 ? 1.0f : p;
    case Unary::leakyRelu: return x < 0 ? p * x : x;
    case Unary::elu: return x >= 0 ? x : expm1f(x);
    case Unary::clip: return x > q ? q : x < p ? p : x;
    case Unary::logicalNot: return x == 0 ? 1.0f : 0.0f;
    case Unary::isNan: return x != x ? 1.0f : 0.0f;
    case Unary::isInf: return fabsf(x) == INFINITY ? 1.0f : 0.0f;
    default: return fabsf(x) < INFINITY ? 1.0f : 0.0f;
  }
}
// Of the operations that keep integers integers.
__device__ __forceinline__ int32_t apply(Unary op, int32_t x, int32_t p, int32_t q) {
  switch (op) {
    case Unary::neg: return difference(0, x);
    case Unary::square: return product(x, x);
    case Unary::abs: return x < 0 ? difference(0, x) : x;
    case Unary::relu: return x > 0 ? x : 0;
    case Unary::sign: return x > 0 ? 1 : x < 0 ? -1 : 0;
    case Unary::clip: return x > q ? q : x < p ? p : x;
    case Unary::logicalNot: return x == 0;
    default: return x;
  }
}

}  // namespace tunesmith::cuda
