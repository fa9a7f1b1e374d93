// Standard operations: elementwise, softmax, sum, transposition.
#include "args.h"

namespace tunesmith {
namespace {

// (op, mode, outer, inner, a, b, y); modes as in elementwise.h
Napi::Value binary(const Napi::CallbackInfo& info) {
  Args a(info);
  const int64_t op = a.integer(), mode = a.integer(), outer = a.integer(), inner = a.integer();
  if (a.ok() && (op > kMin || mode > 4)) a.fail("an operation");
  const int64_t n = a.product(outer, inner);
  const float* x = a.floats(mode == 3 ? inner : mode == 4 ? outer : n);
  const float* y = a.floats(mode == 1 ? inner : mode == 2 ? outer : n);
  float* z = a.floats(n);
  if (!a.ok()) return info.Env().Undefined();
  kernels().binary(static_cast<Binary>(op), x, y, z, outer, inner, static_cast<int>(mode));
  return result(info, true);
}

Napi::Value unary(const Napi::CallbackInfo& info) {
  Args a(info);
  const int64_t op = a.integer(), n = a.integer();
  if (a.ok() && op > kReciprocal) a.fail("an operation");
  const float* x = a.floats(n);
  float* y = a.floats(n);
  if (!a.ok()) return info.Env().Undefined();
  kernels().unary(static_cast<Unary>(op), x, y, n);
  return result(info, true);
}

Napi::Value softmax(const Napi::CallbackInfo& info) {
  Args a(info);
  const int64_t rows = a.integer(), cols = a.integer();
  const float* x = a.floats(a.product(rows, cols));
  float* y = a.floats(a.product(rows, cols));
  if (!a.ok()) return info.Env().Undefined();
  if (cols > 0) kernels().softmax(x, y, rows, cols);
  return result(info, true);
}

Napi::Value reduceSum(const Napi::CallbackInfo& info) {
  Args a(info);
  const int64_t outer = a.integer(), axis = a.integer(), inner = a.integer();
  const float* x = a.floats(a.product(a.product(outer, axis), inner));
  float* y = a.floats(a.product(outer, inner));
  if (!a.ok()) return info.Env().Undefined();
  kernels().reduceSum(x, y, outer, axis, inner);
  return result(info, true);
}

Napi::Value transpose2d(const Napi::CallbackInfo& info) {
  Args a(info);
  const int64_t rows = a.integer(), cols = a.integer();
  const float* x = a.floats(a.product(rows, cols));
  float* y = a.floats(a.product(rows, cols));
  if (!a.ok()) return info.Env().Undefined();
  kernels().transpose2d(x, y, rows, cols);
  return result(info, true);
}

}  // namespace

void addOps(Napi::Env env, Napi::Object exports) {
  exports.Set("binary", Napi::Function::New(env, binary));
  exports.Set("unary", Napi::Function::New(env, unary));
  exports.Set("softmax", Napi::Function::New(env, softmax));
  exports.Set("reduceSum", Napi::Function::New(env, reduceSum));
  exports.Set("transpose2d", Napi::Function::New(env, transpose2d));
}

}  // namespace tunesmith
