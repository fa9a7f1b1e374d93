// Arrays of more than 2^31 elements, where an index of 32 bits overflows: only a GPU has the memory and the speed.
#include "lab.h"

namespace tunesmith::cuda {
namespace {

constexpr int64_t kBeyond = int64_t{1} << 31;

struct Large {
  Lab& lab;
  int64_t n;
  Type type;
  void* memory;
  Large(Lab& l, int64_t elements, Type t)
      : lab(l), n(elements), type(t), memory(l.allocate(static_cast<size_t>(elements) * bytesOf(t))) {}
  ~Large() { lab.release(memory); }
  Large(const Large&) = delete;
  Large& operator=(const Large&) = delete;
  operator Array() const { return {memory, type}; }
  float* floats() const { return static_cast<float*>(memory); }
  Array from(int64_t element) const {
    return {static_cast<char*>(memory) + static_cast<size_t>(element) * bytesOf(type), type};
  }

  double at(int64_t i) const {
    uint32_t bits = 0;
    lab.read(reinterpret_cast<char*>(&bits) + (type == Type::bf16 ? 2 : 0), from(i).data, bytesOf(type));
    float x;
    std::memcpy(&x, &bits, 4);
    return static_cast<double>(x);
  }
  void expectValues(const std::string& what, double want, double tolerance = 0) const {
    for (int64_t i : {int64_t{0}, kBeyond - 1, kBeyond, kBeyond + 1, n - 1})
      if (i < n)
        expect(std::fabs(at(i) - want) <= tolerance,
            lab.running + ": " + what + " at " + std::to_string(i) + " is " + std::to_string(at(i)) + ", not " +
                std::to_string(want));
  }
};

}  // namespace

bool testLargeArrays(Lab& lab) {
  lab.running = "large arrays";
  const int64_t n = kBeyond + 4096;
  if (lab.runtime.info().freeBytes < static_cast<size_t>(n) * 14) return false;
  {
    const Large x(lab, n, Type::bf16), y(lab, n, Type::bf16), z(lab, n, Type::bf16);
    fill(lab.stream, x, 1, n);
    fill(lab.stream, y, 2, n);
    x.expectValues("fill", 1);
    binary(lab.stream, Binary::add, 0, x, y, z, 1, n);
    z.expectValues("add", 3);
    binary(lab.stream, Binary::mul, 0, z, y, z, 1, n);
    z.expectValues("mul", 6);
    unary(lab.stream, Unary::neg, z, z, n);
    z.expectValues("neg", -6);
    swiglu(lab.stream, x, y, z, n, Activation::silu);
    z.expectValues("swiglu", 1.4621172, 6e-3);
    Extent whole;
    whole.rank = 1;
    whole.sizes[0] = n;
    Strided from, to;
    from.array = y;
    to.array = z;
    from.strides[0] = to.strides[0] = 1;
    stridedCopy(lab.stream, whole, from, to);
    z.expectValues("copy", 2);
    Dropout all;
    all.on = true;
    all.keepScale = 3;
    dropout(lab.stream, y, z, n, all);
    z.expectValues("dropout", 6);
    transpose2d(lab.stream, y, z, 4096, n / 4096);
    z.expectValues("transpose", 2);
    const NormTensor normed = {y.memory, n};
    const Large sums(lab, n / 4096, Type::f32), partial(lab, 256 * (n / 4096), Type::f32), norm(lab, 1, Type::f32),
        squares(lab, 2 * normParts(normed), Type::f32);
    reduceSum(lab.stream, y, sums.floats(), partial.floats(), n / 4096, 4096, 1, 1);
    expect(sums.at(n / 4096 - 1) == 8192, lab.running + ": sums of rows");
    sumSquares(lab.stream, Array(y).type, &normed, 1, static_cast<double*>(squares.memory));
    finishNorm(lab.stream, static_cast<double*>(squares.memory), normParts(normed), norm.floats());
    expect(std::fabs(norm.at(0) / std::sqrt(4.0 * static_cast<double>(n)) - 1) < 1e-6,
        lab.running + ": the norm is " + std::to_string(norm.at(0)));
  }
  {
    // Logits of 16,800 rows of Llama 3's vocabulary, and their gradient in place.
    const int64_t vocab = 128256, rows = ceilDiv(kBeyond, vocab) + 16;
    std::vector<int32_t> all, labels;
    for (int64_t t = 0; t < rows; t++) {
      all.push_back(static_cast<int32_t>(t));
      labels.push_back(static_cast<int32_t>(vocab - 1));
    }
    const Large logits(lab, rows * vocab, Type::f32);
    const DeviceArray index(lab, all), wanted(lab, labels), nll(lab, rows, Type::f32, Content::output),
        entropy(lab, rows, Type::f32, Content::output), correct(lab, rows, Type::f32, Content::output);
    fill(lab.stream, logits, 0, rows * vocab);
    LossRows p;
    p.rows = index.ints();
    p.labels = wanted.ints();
    p.count = rows;
    p.vocab = vocab;
    p.nll = nll.floats();
    p.entropy = entropy.floats();
    p.correct = correct.floats();
    softmaxLoss(lab.stream, logits.floats(), p, true, Type::f32);
    compare(lab, "nll", nll.now(), std::vector<double>(static_cast<size_t>(rows), std::log(static_cast<double>(vocab))),
        1e-5);
    const double share = 1 / static_cast<double>(vocab);
    expect(std::fabs(logits.at(rows * vocab - 1) - (share - 1)) < 1e-5 &&
            std::fabs(logits.at(rows * vocab - 2) - share) < 1e-5 * share,
        lab.running + ": gradient of the last row");
  }
  {
    // An embedding of more than 2^31 elements: its last row is expanded, looked up, multiplied, and gets a gradient.
    const int64_t cols = 8192, rows = kBeyond / cols + 8;
    const Large table(lab, rows * cols, Type::bf16);
    fill(lab.stream, table, 1, rows * cols);
    fill(lab.stream, table.from((rows - 1) * cols), 0.5f, cols);
    Weight w;
    w.format = Format::bf16;
    w.data = table.memory;
    w.rows = rows;
    w.cols = cols;
    const DeviceArray id(lab, {static_cast<int32_t>(rows - 1)}),
        x(lab, Type::f32, std::vector<double>(static_cast<size_t>(cols), 0.25)),
        row(lab, cols, Type::f32, Content::output), y(lab, rows, Type::f32, Content::output);
    dequantize(lab.stream, w, rows - 1, rows, row);
    compare(lab, "last row", row.now(), std::vector<double>(static_cast<size_t>(cols), 0.5), 0);
    embeddingLookup(lab.stream, w, id.ints(), row, 1);
    compare(lab, "last embedding", row.now(), std::vector<double>(static_cast<size_t>(cols), 0.5), 0);
    decodeLinear(lab.stream, w, x, {}, {}, {}, 0, 0, y, 1);
    expect(y.now().back() == 1024 && y.now()[0] == 2048, lab.running + ": the product with the last row");
    const Large gradient(lab, rows * cols, Type::f32);
    fill(lab.stream, gradient, 0, rows * cols);
    const DeviceArray first(lab, {0}), bounds(lab, {0, 1});
    embeddingGrad(lab.stream, x, id.ints(), first.ints(), bounds.ints(), 1, gradient.floats(), cols);
    expect(gradient.at(rows * cols - 1) == 0.25 && gradient.at((rows - 1) * cols - 1) == 0,
        lab.running + ": the gradient of the last row");
  }
  return true;
}

}  // namespace tunesmith::cuda
