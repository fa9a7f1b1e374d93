// The plain operations of TensorFlow.js that run on the device.
#include <algorithm>

#include "../host/launch_geometry.h"
#include "args.h"

namespace tunesmith {
namespace cuda {
namespace {

void binaryOp(Args& a) {
  const int op = a.small(), mode = a.small();
  if (op > static_cast<int>(Binary::min) || mode > 4) a.fail("an operation");
  const int64_t outer = a.integer(), inner = a.integer(), n = a.product(outer, inner);
  const Array x = a.floats(mode == 3 ? inner : mode == 4 ? outer : n), z = a.floats(mode == 1 ? inner : mode == 2 ? outer : n);
  binary(context().stream, static_cast<Binary>(op), mode, x, z, a.floats(n), outer, inner);
}
void unaryOp(Args& a) {
  const int op = a.small();
  if (op > static_cast<int>(Unary::reciprocal)) a.fail("an operation");
  const int64_t n = a.integer();
  const Array x = a.floats(n);
  unary(context().stream, static_cast<Unary>(op), x, a.floats(n), n);
}
void softmaxOp(Args& a) {
  const int64_t rows = a.integer(), cols = a.integer(), n = a.product(rows, cols);
  const Array x = a.floats(n);
  softmax(context().stream, x, a.floats(n), rows, cols);
}
void reduce(Args& a) {
  Context& c = context();
  const int64_t outer = a.integer(), axis = a.integer(), inner = a.integer();
  const float scale = a.real();
  const Array x = a.floats(a.product(outer, a.product(axis, inner)));
  float* y = a.f32(a.product(outer, inner));
  const Temp partial(c, std::min(outer, kMaxBlocksYZ) * inner * columnSplits(axis, inner), Type::f32);
  reduceSum(c.stream, x, y, partial.floats(), outer, axis, inner, scale);
}
void transposeOp(Args& a) {
  const int64_t rows = a.integer(), cols = a.integer(), n = a.product(rows, cols);
  if (rows > 32 * kMaxBlocksYZ) a.fail("at most 2,097,120 rows");
  const Array x = a.floats(n);
  transpose2d(context().stream, x, a.floats(n), rows, cols);
}
void convertOp(Args& a) {
  const int64_t n = a.integer();
  const Array x = a.any(n);
  convert(context().stream, x, a.any(n), n);
}
void fillOp(Args& a) {
  const int64_t n = a.integer();
  const float value = a.real();
  fill(context().stream, a.any(n), value, n);
}
void copyOp(Args& a) {
  const int64_t n = a.integer();
  const Array x = a.any(n), y = a.any(n);
  if (x.type != y.type) a.fail("tensors of one type");
  const LaunchScope scope("copyOnDevice", context().stream);
  context().runtime->copyOnDevice(y.data, x.data, static_cast<size_t>(n) * bytesOf(x.type), context().stream);
}
// copyStrided(rows, cols, x, xOffset, xStride, y, yOffset, yStride)
void strided(Args& a) {
  const int64_t rows = a.integer(), cols = a.integer();
  const auto side = [&] {
    const int64_t handle = a.integer(), offset = a.integer(), stride = a.integer();
    const Buffer* b = bufferOf(handle);
    if (!b || stride < cols || (rows * cols > 0 && offset + a.product(rows - 1, stride) + cols > b->elements)) a.fail("rows inside the tensor");
    Array x = b->array;
    x.data = static_cast<char*>(x.data) + static_cast<size_t>(offset) * bytesOf(x.type);
    return std::make_pair(x, stride);
  };
  const auto [x, xStride] = side();
  const auto [y, yStride] = side();
  if (x.type != y.type) a.fail("tensors of one type");
  copyStrided(context().stream, x, y, rows, cols, xStride, yStride);
}
void matMulOp(Args& a) {
  const int64_t m = a.integer(), n = a.integer(), k = a.integer();
  const bool transposeA = a.boolean(), transposeB = a.boolean();
  const Array x = a.floats(a.product(m, k)), z = a.floats(a.product(k, n));
  matMul(context(), m, n, k, transposeA, transposeB, x, z, a.floats(a.product(m, n)));
}

}  // namespace

void addOps(Napi::Env env, Napi::Object exports) {
  add(env, exports, "binary", binaryOp);
  add(env, exports, "unary", unaryOp);
  add(env, exports, "softmax", softmaxOp);
  add(env, exports, "reduceSum", reduce);
  add(env, exports, "transpose2d", transposeOp);
  add(env, exports, "convert", convertOp);
  add(env, exports, "fill", fillOp);
  add(env, exports, "copy", copyOp);
  add(env, exports, "copyStrided", strided);
  add(env, exports, "matMul", matMulOp);
}

}  // namespace cuda
}  // namespace tunesmith
