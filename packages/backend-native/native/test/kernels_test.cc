// Runs every kernel on awkward sizes without Node, for the sanitizers: products against a plain loop, the others for
// memory, data races and agreement between one thread and several.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "../common.h"

using namespace tunesmith;

namespace {

int failures = 0;
uint32_t state = 1;

float random() {
  state = state * 1664525u + 1013904223u;
  return static_cast<float>(state >> 8) / 16777216.f - 0.5f;
}
std::vector<float> randoms(int64_t n) {
  std::vector<float> v(static_cast<size_t>(n));
  for (float& x : v) x = random();
  return v;
}

void expect(bool good, const char* what) {
  if (good) return;
  failures++;
  std::printf("FAILED %s (%s)\n", what, kernels().isa);
}

bool close(const std::vector<float>& a, const std::vector<float>& b, float tolerance) {
  for (size_t i = 0; i < a.size(); i++)
    if (!(std::fabs(a[i] - b[i]) <= tolerance)) return false;
  return a.size() == b.size();
}

// Storage that ends exactly at the last element, so that AddressSanitizer sees a read beyond it.
struct Weight {
  std::vector<uint8_t> bytes;
  std::vector<float> scale, code = randoms(16);
  Matrix matrix;
  Weight(Format format, int64_t rows, int64_t cols, int64_t blockSize) {
    const int64_t n = rows * cols;
    matrix.format = format;
    matrix.rows = rows;
    matrix.cols = cols;
    matrix.blockSize = blockSize;
    matrix.rounding = format == kNF4 ? static_cast<Rounding>(rows % 3) : kUnrounded;
    const int64_t size = format == kF32 ? 4 * n : format == kINT8 ? n : format == kNF4 ? (n + 1) / 2 : 2 * n;
    bytes.resize(static_cast<size_t>(size));
    for (int64_t i = 0; i < n; i++) {
      const float f = random();
      uint32_t bits;
      std::memcpy(&bits, &f, 4);
      if (format == kF32) std::memcpy(&bytes[static_cast<size_t>(4 * i)], &f, 4);
      const uint16_t half =
          format == kBF16 ? static_cast<uint16_t>(bits >> 16) : static_cast<uint16_t>((bits & 0x80ff) | 0x3400);
      if (format == kBF16 || format == kF16) std::memcpy(&bytes[static_cast<size_t>(2 * i)], &half, 2);
      if (format == kINT8) bytes[static_cast<size_t>(i)] = static_cast<uint8_t>(bits);
      if (format == kNF4) bytes[static_cast<size_t>(i / 2)] = static_cast<uint8_t>(bits);
    }
    scale = randoms(format == kINT8 ? rows : (n + blockSize - 1) / blockSize);
    matrix.data = bytes.data();
    matrix.scale = scale.data();
    matrix.code = code.data();
  }
  std::vector<float> dense() const {
    std::vector<float> v(static_cast<size_t>(matrix.rows * matrix.cols));
    kernels().dequantize(matrix, 0, matrix.rows, v.data());
    return v;
  }
};

void product(Format format, int64_t m, int64_t n, int64_t k, bool transposed, double dropout) {
  const Weight w(format, transposed ? n : k, transposed ? k : n, 48);
  const std::vector<float> dense = w.dense(), a = randoms(m * k), bias = randoms(n);
  std::vector<float> c(static_cast<size_t>(m * n)), want(c.size());
  Term t = productTerm(a.data(), w.matrix, transposed);
  t.alpha = 0.5f;
  const GemmOutput out = {c.data(), n, bias.data()};
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++) {
      double sum = 0;
      for (int64_t p = 0; p < k; p++)
        sum += static_cast<double>(a[static_cast<size_t>(i * k + p)]) *
            dense[static_cast<size_t>(transposed ? j * k + p : p * n + j)];
      want[static_cast<size_t>(i * n + j)] = static_cast<float>(sum * 0.5 + bias[static_cast<size_t>(j)]);
    }
  expect(kernels().gemm(m, n, &t, 1, out), "gemm has memory");
  expect(close(c, want, 1e-3f), "gemm");
  if (setBF16Products(true)) {
    expect(kernels().gemm(m, n, &t, 1, out), "gemm in bf16 has memory");
    float largest = 0;
    for (float x : dense) largest = std::fmax(largest, std::fabs(x));
    expect(close(c, want, 4e-3f * largest * std::sqrt(static_cast<float>(k))), "gemm in bf16");
  }
  if (dropout > 0) {
    t.aDropout.on = t.outDropout.on = true;
    t.aDropout.threshold = t.outDropout.threshold = static_cast<uint32_t>(dropout * 4294967296.0);
    t.bDropout = t.aDropout;
    t.bDropout.on = !transposed && format == kF32;
    expect(kernels().gemm(m, n, &t, 1, out), "gemm with dropout");
  }
  setBF16Products(false);
}

// Large results are written past the caches: the same values as in pieces.
void largeDequantize() {
  const Weight w(kNF4, 2049, 2080, 32);
  const std::vector<float> whole = w.dense();
  std::vector<float> part(static_cast<size_t>(683 * 2080));
  for (int64_t row = 0; row < 2049; row += 683) {
    kernels().dequantize(w.matrix, row, row + 683, part.data());
    expect(std::memcmp(part.data(), whole.data() + row * 2080, part.size() * 4) == 0, "dequantize past the caches");
  }
}

std::vector<float> attentionRun(int threads, int64_t headDim, int64_t window, float softcap, bool rounded = false) {
  setThreadCount(threads);
  state = 77;
  const int32_t ends[] = {0, 1, 64, 64, 201};
  const int64_t tokens = 201, heads = 4, kvHeads = 2;
  const std::vector<float> q = randoms(tokens * heads * headDim), k = randoms(tokens * kvHeads * headDim),
                           v = randoms(k.size());
  const std::vector<float> dout = randoms(q.size());
  Attention p = {};
  p.q = q.data();
  p.k = k.data();
  p.v = v.data();
  p.cuSeqlens = ends;
  p.sequences = 4;
  p.heads = heads;
  p.kvHeads = kvHeads;
  p.headDim = headDim;
  p.qStride = heads * headDim;
  p.kvStride = kvHeads * headDim;
  p.scale = 0.3f;
  p.softcap = softcap;
  p.window = window;
  p.rounded = rounded;
  std::vector<float> out(q.size()), lse(static_cast<size_t>(tokens * heads)), dq(q.size()), dk(k.size()), dv(k.size());
  expect(kernels().attention(p, out.data(), lse.data()), "attention");
  const AttentionGrad g = {dout.data(), out.data(), lse.data(), dq.data(), dk.data(), dv.data()};
  expect(kernels().attentionGrad(p, g), "attention's gradient");
  for (const std::vector<float>* x : {&dq, &dk, &dv, &lse}) out.insert(out.end(), x->begin(), x->end());
  for (float x : out)
    if (!std::isfinite(x)) {
      expect(false, "attention is finite");
      break;
    }
  return out;
}

std::vector<float> lossRun(int threads, Format format) {
  setThreadCount(threads);
  state = 5;
  const int64_t tokens = 37, vocab = 101, h = 29;
  const Weight w(format, vocab, h, 48);
  const std::vector<float> x = randoms(tokens * h), bias = randoms(vocab);
  std::vector<int32_t> labels;
  for (int64_t t = 0; t < tokens; t++) labels.push_back(t % 3 ? static_cast<int32_t>(t * 7 % vocab) : -100);
  std::vector<float> rows(static_cast<size_t>(3 * tokens)), dx(x.size()), dw(static_cast<size_t>(vocab * h));
  CrossEntropy p = {};
  p.hidden = x.data();
  p.weight = w.matrix;
  p.bias = bias.data();
  p.labels = labels.data();
  p.tokens = tokens;
  p.softcap = 3;
  p.nll = rows.data();
  p.entropy = p.nll + tokens;
  p.correct = p.entropy + tokens;
  p.dHidden = dx.data();
  p.dWeight = dw.data();
  expect(kernels().crossEntropy(p), "cross entropy");
  rows.insert(rows.end(), dx.begin(), dx.end());
  rows.insert(rows.end(), dw.begin(), dw.end());
  rows.push_back(static_cast<float>(p.lossSum));
  return rows;
}

std::vector<float> smallRun(int threads) {
  setThreadCount(threads);
  state = 9;
  const int64_t tokens = 333, h = 131;
  const std::vector<float> x = randoms(tokens * h), y = randoms(x.size()), w = randoms(h), tables = randoms(tokens * 8);
  std::vector<float> a(x.size()), b(x.size()), dw(static_cast<size_t>(h)), all;
  const Kernels& k = kernels();
  const auto keep = [&](const std::vector<float>& v) { all.insert(all.end(), v.begin(), v.end()); };
  k.rmsNorm(x.data(), w.data(), a.data(), tokens, h, 1e-5f, 1), keep(a);
  k.rmsNormGrad(y.data(), x.data(), w.data(), a.data(), tokens, h, 1e-5f, 1), keep(a);
  expect(k.rmsNormWeightGrad(y.data(), x.data(), dw.data(), tokens, h, 1e-5f), "norm"), keep(dw);
  k.rope(x.data(), tables.data(), tables.data(), a.data(), tokens, 1, h, 16, true), keep(a);
  for (Activation activation : {kSilu, kGeluTanh}) {
    k.swiglu(x.data(), y.data(), a.data(), tokens * h, activation), keep(a);
    k.swigluGrad(y.data(), x.data(), y.data(), a.data(), b.data(), tokens * h, activation), keep(a), keep(b);
  }
  std::vector<int32_t> ids;
  for (int64_t t = 0; t < tokens; t++) ids.push_back(static_cast<int32_t>(t % 5));
  std::vector<float> table(static_cast<size_t>(7 * h));
  k.embeddingGrad(y.data(), ids.data(), tokens, h, 7, table.data()), keep(table);
  std::vector<float> m(x.size()), v(x.size());
  a = x;
  k.adamW(a.data(), y.data(), m.data(), v.data(), tokens * h, {0.1, 0.9, 0.99, 1e-8, 0.1, 1, 2}), keep(a);
  std::vector<float> map1, map2, absmax1(171), absmax2(171);
  for (int i = 0; i < 256; i++) {
    map1.push_back(static_cast<float>(i - 127) / 128.f);
    map2.push_back(static_cast<float>(i * i) / 65025.f);
  }
  std::vector<uint8_t> codes1(x.size(), 127), codes2(x.size());
  const AdamW8bitState bytes = {
      codes1.data(), codes2.data(), absmax1.data(), absmax2.data(), codeMap(map1.data()), codeMap(map2.data())};
  a = x;
  for (int step = 1; step <= 3; step++)
    k.adamW8bit(a.data(), y.data(), bytes, tokens * h, {0.1, 0.9, 0.99, 1e-8, 0.1, 1, step});
  keep(a), keep(absmax1), keep(absmax2);
  for (int64_t i = 0; i < tokens * h; i++)
    all.push_back(static_cast<float>(codes1[static_cast<size_t>(i)] * 256 + codes2[static_cast<size_t>(i)]));
  all.push_back(static_cast<float>(k.sumSquares(x.data(), tokens * h)));
  for (int op = kAdd; op <= kMin; op++)
    for (int mode = 0; mode <= 4; mode++)
      k.binary(static_cast<Binary>(op), x.data(), y.data(), a.data(), tokens, h, mode), keep(a);
  for (int op = kNeg; op <= kReciprocal; op++)
    if (op != kSqrt && op != kRsqrt && op != kLog)
      k.unary(static_cast<Unary>(op), x.data(), a.data(), tokens * h), keep(a);
  k.softmax(x.data(), a.data(), tokens, h), keep(a);
  k.reduceSum(x.data(), a.data(), tokens, h, 1), keep(a);
  k.reduceSum(x.data(), a.data(), 1, tokens, h), keep(a);
  k.transpose2d(x.data(), a.data(), tokens, h), keep(a);
  return all;
}

}  // namespace

int main() {
  setThreadCount(3);
  setBF16Products(false);
  const int64_t sizes[] = {1, 3, 14, 17, 33, 70};
  for (Format format : {kF32, kBF16, kF16, kNF4, kINT8})
    for (int64_t m : sizes)
      for (int64_t n : sizes) product(format, m, n, sizes[(m * 7 + n) % 6] * 5, (m + n) % 2 == 0, m % 3 ? 0.3 : 0);
  product(kF32, 1100, 40, 300, true, 0);
  product(kBF16, 40, 700, 600, false, 0.1);
  // Several blocks along K, strips of columns and chunks of rows.
  for (Format format : {kBF16, kNF4, kINT8})
    for (bool transposed : {true, false}) product(format, 75, 150, 4131, transposed, transposed ? 0 : 0.2);
  product(kBF16, 1100, 130, 70, true, 0);
  largeDequantize();
  for (int64_t headDim : {8, 40})
    for (int64_t window : {0, 20})
      expect(
          attentionRun(1, headDim, window, window ? 4.f : 0.f) == attentionRun(3, headDim, window, window ? 4.f : 0.f),
          "attention on any threads");
  if (setBF16Products(true)) {
    for (int64_t headDim : {8, 40, 64, 130})
      for (int64_t window : {0, 20}) {
        const auto run = [&](int threads, bool rounded) {
          return attentionRun(threads, headDim, window, window ? 4.f : 0.f, rounded);
        };
        expect(run(1, true) == run(3, true), "attention in bf16 on any threads");
        const std::vector<float> rounded = run(3, true), exact = run(3, false);
        expect(close(rounded, exact, 5e-2f), "attention in bf16");
        expect((rounded == exact) != productsInTiles(), "attention in tiles where there are any");
      }
    setBF16Products(false);
  }
  for (Format format : {kF32, kBF16, kNF4})
    expect(lossRun(1, format) == lossRun(3, format), "cross entropy on any threads");
  if (setBF16Products(true)) expect(lossRun(1, kBF16) == lossRun(3, kBF16), "products in bf16 on any threads");
  expect(close(smallRun(1), smallRun(3), 0), "elementwise kernels on any threads");
  releaseScratch();
  std::printf("%s: %s\n", kernels().isa, failures ? "FAILED" : "all kernels passed");
  return failures ? 1 : 0;
}
