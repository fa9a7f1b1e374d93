// Every operation on awkward sizes with memory of exactly that size, on the device: values are compared with references
// in src/cuda/*.test.ts and, launch by launch, in *_cases.cc.
#include <cmath>

#include "../ops/operations.h"
#include "lab.h"

namespace tunesmith::cuda {
namespace {

Lab* lab = nullptr;

// Device memory, which the host cannot read but by now().
class Exact : public DeviceArray {
 public:
  Exact(int64_t elements, Type type, bool zero = false)
      : DeviceArray(*lab, elements, type, zero ? Content::zero : Content::random, 0.5) {}
  const int32_t* set(const std::vector<int32_t>& values) const {
    lab->write(ints(), values.data(), values.size() * 4);
    return ints();
  }
  bool finite() const {
    for (double x : now())
      if (!std::isfinite(x)) return false;
    return true;
  }
};

struct TestWeight {
  Exact data, scale, code;
  Weight w;
  TestWeight(Format format, int64_t rows, int64_t cols, int64_t blockSize)
      : data((rows * cols * bitsOf(format) + 31) / 32, format == Format::f32 ? Type::f32 : Type::i32,
            format == Format::bf16 || format == Format::f16),
        scale(std::max(rows, (rows * cols + blockSize - 1) / blockSize), Type::f32), code(16, Type::f32) {
    w.format = format;
    w.data = Array(data).data;
    w.scale = scale.floats();
    w.code = code.floats();
    w.rows = rows;
    w.cols = cols;
    w.blockSize = blockSize;
  }
};

void linears(Context& c) {
  const Type t = c.type;
  for (Format format : {Format::f32, Format::bf16, Format::f16, Format::nf4, Format::int8})
    for (int64_t tokens : {1, 3, 5, 33})
      for (int64_t cols : {7, 24, 264}) {
        const int64_t rows = 11, rank = 3;
        const TestWeight w(format, rows, cols, cols == 7 ? 5 : 16);
        const Exact x(tokens * cols, t), bias(rows, Type::f32), y(tokens * rows, t), dy(tokens * rows, t),
            dx(tokens * cols, t);
        linear(c, tokens, w.w, x, bias, y);
        linearGrad(c, tokens, w.w, dy, {}, dx);
        linearGrad(c, tokens, w.w, dy, dx, dx);
        const Exact a(rank * cols, Type::f32), b(rows * rank, Type::f32), xa(tokens * rank, t),
            dA(rank * cols, Type::f32), dB(rows * rank, Type::f32);
        Lora lora;
        lora.a = a;
        lora.b = b;
        lora.rank = rank;
        for (bool drop : {false, true}) {
          lora.dropout.on = drop;
          lora.dropout.threshold = 1u << 30;
          loraLinear(c, tokens, w.w, lora, x, bias, y, xa);
          loraLinearGrad(c, tokens, w.w, lora, {dy, {}, x, xa, dx, dA, dB});
          loraLinearGrad(c, tokens, w.w, lora, {dy, dx, {}, {}, dx, {}, {}});
          loraLinearGrad(c, tokens, w.w, lora, {dy, {}, x, xa, {}, dA, dB});
        }
        const Exact ids(2, Type::i32), looked(2 * cols, t), dw(rows * cols, Type::f32);
        const std::vector<int32_t> host = {static_cast<int32_t>(rows - 1), 0};
        embeddingLookup(c.stream, w.w, ids.set(host), looked, 2);
        embeddingGradient(c, looked, ids.set(host), host.data(), 2, rows, cols, dw);
        CrossEntropy p;
        p.tokens = tokens;
        p.weight = w.w;
        p.hidden = x;
        p.bias = bias;
        const Exact labels(tokens, Type::i32), loss(1, Type::f32), nll(tokens, Type::f32), entropy(tokens, Type::f32),
            correct(tokens, Type::f32);
        std::vector<int32_t> given;
        for (int64_t i = 0; i < tokens; i++) given.push_back(i % 2 ? -100 : static_cast<int32_t>(i % rows));
        p.rows.labels = labels.set(given);
        p.hostLabels = given.data();
        p.lossSum = loss.floats();
        p.rows.nll = nll.floats();
        p.rows.entropy = entropy.floats();
        p.rows.correct = correct.floats();
        p.dHidden = dx;
        p.dWeight = dw;
        crossEntropy(c, p);
        expect(loss.finite(),
            "the loss is a number: format " + std::to_string(static_cast<int>(format)) + ", " + std::to_string(tokens) +
                " x " + std::to_string(cols) + (c.type == Type::bf16 ? " bf16" : " f32"));
      }
}

void attentions(Context& c) {
  const std::vector<int32_t> ends = {0, 1, 1, 66, 70};
  for (int headDim : {6, 64, 96, 128})
    for (int window : {0, 20}) {
      Attention p;
      p.tokens = p.keys = 70;
      p.sequences = 4;
      p.heads = 2;
      p.kvHeads = 1;
      p.headDim = headDim;
      p.window = window;
      p.scale = 0.1f;
      p.softcap = window ? 5.0f : 0.0f;
      const Exact bounds(5, Type::i32);
      p.cuSeqlens = bounds.set(ends);
      const int64_t n = p.tokens * p.heads * headDim, kv = p.tokens * headDim;
      const Exact q(n, c.type), k(kv, c.type), v(kv, c.type), out(n, c.type), lse(p.tokens * p.heads, Type::f32),
          dout(n, c.type), dq(n, c.type), dk(kv, c.type), dv(kv, c.type);
      AttentionTensors t{q, k, v, out, lse.floats(), dout, dq, dk, dv};
      const AttentionBounds host = {ends.data(), nullptr, nullptr};
      attention(c, p, host, t);
      attentionGrad(c, p, host, t);
      expect(lse.finite() && out.finite() && dq.finite() && dk.finite() && dv.finite(), "attention is finite");
    }
}

// One query on each of several caches, with parts of every size, empty ones included.
void decoding(Context& c) {
  for (int headDim : {8, 64, 96, 256})
    for (int heads : {1, 2, 3, 8, 12})
      for (int window : {0, 33}) {
        Attention p;
        p.sequences = 3;
        p.tokens = 3;
        p.keys = 3 * 200;
        p.heads = heads;
        p.kvHeads = 1;
        p.headDim = headDim;
        p.window = window;
        p.softcap = window ? 5.0f : 0.0f;
        p.scale = 0.1f;
        const Exact bounds(4, Type::i32), starts(3, Type::i32), lengths(3, Type::i32);
        const std::vector<int32_t> ends = {0, 1, 2, 3}, from = {0, 200, 400};
        std::vector<int32_t> length = {200, 1, 67};
        p.cuSeqlens = bounds.set(ends);
        p.kvStart = starts.set(from);
        p.kvLength = lengths.set(length);
        const int64_t n = p.tokens * heads * headDim, kv = p.keys * headDim;
        const Exact q(n, c.type), k(kv, c.type), v(kv, c.type), out(n, c.type), lse(p.tokens * heads, Type::f32),
            one(n, c.type), oneLse(p.tokens * heads, Type::f32);
        AttentionTensors t{q, k, v, out, lse.floats(), {}, {}, {}, {}};
        const AttentionBounds host = {ends.data(), from.data(), length.data()};
        attention(c, p, host, t);
        // As a captured launch runs again: other lengths, the same grid; against one part and none.
        for (const std::vector<int32_t>& later : {std::vector<int32_t>{200, 1, 67}, {3, 65, 200}}) {
          c.runtime->synchronize(c.stream);
          lengths.set(later);
          const int splits = 5;
          const Exact partial(decodePartials(p, splits), Type::f32);
          decodeAttention(c.stream, p, t, splits, partial.floats());
          AttentionTensors whole = t;
          whole.out = one;
          whole.lse = oneLse.floats();
          decodeAttention(c.stream, p, whole, 1, nullptr);
          c.runtime->synchronize(c.stream);
          bool same = true;
          const auto close = [&](const Exact& x, const Exact& y, double tolerance) {
            const std::vector<double> left = x.now(), right = y.now();
            for (size_t i = 0; i < left.size(); i++) same = same && std::fabs(left[i] - right[i]) < tolerance;
          };
          close(lse, oneLse, 1e-5);
          close(out, one, c.type == Type::bf16 ? 4e-3 : 1e-6);
          expect(same, "splitting the keys changes nothing");
        }
      }
}

// The gradients must not depend on how much shared memory a device has, nor on the blocks the heads are divided into.
void gradientPlans(Context& c) {
  const DeviceInfo device = c.device;
  Attention p;
  p.tokens = p.keys = 193;
  p.sequences = 2;
  p.heads = 4;
  p.kvHeads = 1;
  p.headDim = 128;
  p.scale = 0.1f;
  const Exact bounds(3, Type::i32);
  const std::vector<int32_t> ends = {0, 150, 193};
  p.cuSeqlens = bounds.set(ends);
  const int64_t n = p.tokens * p.heads * p.headDim, kv = p.tokens * p.headDim;
  const Exact q(n, c.type), k(kv, c.type), v(kv, c.type), dout(n, c.type), out(n, c.type),
      lse(p.tokens * p.heads, Type::f32), dq(n, c.type), dk(kv, c.type), dv(kv, c.type);
  AttentionTensors t{q, k, v, out, lse.floats(), dout, dq, dk, dv};
  const AttentionBounds host = {ends.data(), nullptr, nullptr};
  attention(c, p, host, t);
  std::vector<std::vector<double>> results;
  for (size_t shared : {size_t{100} << 10, device.sharedPerMultiprocessor})
    for (int multiprocessors : {1, 132}) {
      c.device.sharedPerMultiprocessor = shared;
      c.device.multiprocessors = multiprocessors;
      attentionGrad(c, p, host, t);
      c.runtime->synchronize(c.stream);
      results.emplace_back();
      for (const Exact* x : {&dq, &dk, &dv}) {
        const std::vector<double> values = x->now();
        results.back().insert(results.back().end(), values.begin(), values.end());
      }
    }
  c.device = device;
  expect(results[0] == results[2] && results[1] == results[3], "one buffer or two: the same bits");
  if (c.type == Type::bf16) expect(results[0] != results[1], "the heads were divided");
  double largest = 0, difference = 0;
  for (size_t i = 0; i < results[0].size(); i++) {
    largest = std::fmax(largest, std::fabs(results[0][i]));
    difference = std::fmax(difference, std::fabs(results[0][i] - results[1][i]));
  }
  expect(difference < 0.02 * largest && largest > 0, "heads of a group in one block or in several");
}

void others(Context& c) {
  const Type t = c.type;
  for (int64_t h : {1, 40, 264, 2049}) {
    const int64_t tokens = 5;
    const Exact x(tokens * h, t), dy(tokens * h, t), y(tokens * h, t), z(tokens * h, t), w(h, Type::f32),
        dw(h, Type::f32), partial(256 * h + tokens, Type::f32);
    rmsNorm(c.stream, x, w.floats(), y, tokens, h, 1e-5f, 1);
    rmsNormGrad(c.stream, dy, x, w.floats(), dy, y, tokens, h, 1e-5f, 1);
    rmsNormWeightGrad(c.stream, dy, x, dw.floats(), partial.floats(), tokens, h, 1e-5f);
    for (Activation f : {Activation::silu, Activation::geluTanh}) {
      swiglu(c.stream, x, dy, y, tokens * h, f);
      swigluGrad(c.stream, dy, x, dy, y, z, tokens * h, f);
    }
    // In place, as the backward pass may.
    swigluGrad(c.stream, dy, x, y, x, y, tokens * h, Activation::silu);
    softmax(c.stream, x, y, tokens, h);
    reduceSum(c.stream, x, dw.floats(), partial.floats(), 1, tokens, h, 1);
    reduceSum(c.stream, x, partial.floats(), partial.floats(), tokens, h, 1, 1);
    transpose2d(c.stream, x, y, tokens, h);
    convert(c.stream, x, partial, tokens * h);
    binary(c.stream, Binary::add, 0, x, y, z, 1, tokens * h);
    for (int mode = 1; mode <= 4; mode++) {
      const Exact small(mode % 2 ? h : tokens, Type::f32);
      binary(c.stream, Binary::mul, mode, mode > 2 ? Array(small) : Array(x), mode > 2 ? Array(x) : Array(small), z,
          tokens, h);
    }
    unary(c.stream, Unary::sigmoid, x, y, tokens * h);
    if (h % 4 == 0) {
      const Exact cos(tokens * h / 4, Type::f32), sin(tokens * h / 4, Type::f32);
      rotaryEmbedding(c.stream, x, cos.floats(), sin.floats(), y, tokens, 1, h, h / 2, true);
    }
    const Exact param(h, Type::f32), copy(h, Type::bf16), grad(h, Type::f32), m(h, Type::f32), v(h, Type::f32, true);
    AdamW o = {0.1f, 0.9f, 0.99f, 1e-8f, 0.1f, 1, 0.1f, 0.1f};
    const AdamWTensor tensor = {param.floats(), grad.floats(), m.floats(), v.floats(), Array(copy).data, h};
    adamW(c.stream, &tensor, 1, o);
    const int64_t words = (h + 3) / 4, blocks = (h + 255) / 256;
    const Exact codes1(words, Type::i32), codes2(words, Type::i32), absmax1(blocks, Type::f32, true),
        absmax2(blocks, Type::f32, true), map1(256, Type::f32), map2(256, Type::f32);
    AdamW8bit bytes = {map1.floats(), map2.floats(), -0.1f, 0.1f, 1, 1e-8f, 1, 0.9f, 0.1f, 0.99f, 0.01f};
    const AdamW8bitTensor small = {param.floats(), grad.floats(), static_cast<uint8_t*>(Array(codes1).data),
        static_cast<uint8_t*>(Array(codes2).data), absmax1.floats(), absmax2.floats(), Array(copy).data, h};
    adamW8bit(c.stream, &small, 1, bytes);
    const Exact norm(1, Type::f32);
    gradNorm(c, {{grad, h}, {x, tokens * h}}, norm.floats());
    expect(norm.finite(), "the norm is a number");
  }
}

}  // namespace

void testOperations(uint64_t seed) {
  for (Type type : {Type::f32, Type::bf16}) {
    Context c(0, type, false);
    Lab memory{*c.runtime, c.stream, Random(seed)};
    lab = &memory;
    memory.running = std::string("operations in ") + nameOf(type);
    linears(c);
    attentions(c);
    decoding(c);
    gradientPlans(c);
    others(c);
    c.runtime->synchronize(c.stream);
  }
}

}  // namespace tunesmith::cuda
