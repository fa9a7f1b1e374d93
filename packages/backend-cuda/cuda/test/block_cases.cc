// RMSNorm, rotary embedding and the gated activation against float64.
#include "lab.h"

namespace tunesmith::cuda {
namespace {

// A width for the kernels' two ways: by eights and one by one.
int64_t widthOf(Lab& lab) { return lab.random.coin() ? 8 * lab.random.integer(1, 70) : lab.random.integer(1, 300); }

void norms(Lab& lab) {
  for (Type type : kFloatTypes)
    for (int round = 0; round < 3; round++) {
      const int64_t tokens = lab.random.integer(1, 70), h = round ? widthOf(lab) : 2056;
      const std::string shape =
          std::string(nameOf(type)) + " [" + std::to_string(tokens) + ", " + std::to_string(h) + "]";
      const double eps = 1e-5, offset = round == 2 ? 1 : 0;
      const DeviceArray x(lab, tokens * h, type), dy(lab, tokens * h, type), w(lab, h, Type::f32),
          y(lab, tokens * h, type, Content::output), dx(lab, tokens * h, type, Content::output),
          dw(lab, h, Type::f32, Content::output);
      const DeviceArray partial(lab, columnSplits(tokens, h) * h + tokens, Type::f32, Content::output);
      rmsNorm(lab.stream, x, w.floats(), y, tokens, h, static_cast<float>(eps), static_cast<float>(offset));
      // An addend that is not there, one beside, and the output itself.
      const DeviceArray addend(lab, tokens * h, type);
      const DeviceArray& to = round == 2 ? addend : dx;
      rmsNormGrad(lab.stream, dy, x, w.floats(), round ? Array(addend) : Array(), to, tokens, h,
          static_cast<float>(eps), static_cast<float>(offset));
      rmsNormWeightGrad(lab.stream, dy, x, dw.floats(), partial.floats(), tokens, h, static_cast<float>(eps));
      std::vector<double> wantY, wantDx, wantDw(static_cast<size_t>(h));
      for (int64_t t = 0; t < tokens; t++) {
        double squares = 0, along = 0;
        for (int64_t i = t * h; i < (t + 1) * h; i++) {
          squares += x[i] * x[i];
          along += dy[i] * (offset + w[i - t * h]) * x[i];
        }
        const double r = 1 / std::sqrt(squares / static_cast<double>(h) + eps);
        for (int64_t i = t * h; i < (t + 1) * h; i++) {
          const double scale = offset + w[i - t * h];
          wantY.push_back(x[i] * r * scale);
          wantDx.push_back(
              (round ? addend[i] : 0) + r * (dy[i] * scale - x[i] * r * r * along / static_cast<double>(h)));
          wantDw[static_cast<size_t>(i - t * h)] += dy[i] * x[i] * r;
        }
      }
      compare(lab, "rmsNorm " + shape, y.now(), wantY, toleranceOf(type));
      // A row of one or two elements loses almost everything to the subtraction.
      if (h > 4) compare(lab, "rmsNormGrad " + shape, to.now(), wantDx, 2 * toleranceOf(type));
      compare(lab, "rmsNormWeightGrad " + shape, dw.now(), wantDw, 2e-5);
    }
}

void rotary(Lab& lab) {
  for (Type type : kFloatTypes)
    for (int round = 0; round < 4; round++) {
      const bool wide = round % 2, inverse = lab.random.coin();
      const int64_t tokens = lab.random.integer(1, 40), heads = lab.random.integer(1, 4), unit = wide ? 8 : 1;
      const int64_t half = unit * lab.random.integer(1, 8),
                    headDim = 2 * half + (lab.random.coin() ? 0 : unit * lab.random.integer(0, 3));
      const int64_t n = tokens * heads * headDim;
      const DeviceArray x(lab, n, type), y(lab, n, type, Content::output), cosines(lab, tokens * half, Type::f32),
          sines(lab, tokens * half, Type::f32);
      rotaryEmbedding(lab.stream, x, cosines.floats(), sines.floats(), y, tokens, heads, headDim, 2 * half, inverse);
      std::vector<double> want = x.given();
      for (int64_t head = 0; head < tokens * heads; head++)
        for (int64_t i = 0; i < half; i++) {
          const int64_t at = head * headDim + i, table = head / heads * half + i;
          const double s = inverse ? -sines[table] : sines[table];
          want[static_cast<size_t>(at)] = x[at] * cosines[table] - x[at + half] * s;
          want[static_cast<size_t>(at + half)] = x[at + half] * cosines[table] + x[at] * s;
        }
      compare(lab,
          std::string(nameOf(type)) + " head size " + std::to_string(headDim) + ", rotated " + std::to_string(2 * half),
          y.now(), want, toleranceOf(type));
    }
}

double activationOf(double g, Activation f, double& slope) {
  if (f == Activation::silu) {
    const double s = 1 / (1 + std::exp(-g));
    slope = s * (1 + g * (1 - s));
    return g * s;
  }
  const double c = std::sqrt(2 / M_PI), t = std::tanh(c * (g + 0.044715 * g * g * g));
  slope = 0.5 * (1 + t) + 0.5 * g * (1 - t * t) * c * (1 + 3 * 0.044715 * g * g);
  return 0.5 * g * (1 + t);
}

void gates(Lab& lab) {
  for (Type type : kFloatTypes)
    for (Activation f : {Activation::silu, Activation::geluTanh})
      for (bool inPlace : {false, true}) {
        const int64_t n = widthOf(lab) * lab.random.integer(1, 9);
        const std::string shape = std::string(nameOf(type)) + " of " + std::to_string(n) + (inPlace ? " in place" : "");
        const DeviceArray gate(lab, n, type, Content::random, 6), up(lab, n, type), dy(lab, n, type),
            y(lab, n, type, Content::output), other(lab, n, type, Content::output),
            third(lab, n, type, Content::output);
        swiglu(lab.stream, gate, up, y, n, f);
        const DeviceArray &dgate = inPlace ? gate : other, &dup = inPlace ? up : third;
        swigluGrad(lab.stream, dy, gate, up, dgate, dup, n, f);
        std::vector<double> wantY, wantGate, wantUp;
        for (int64_t i = 0; i < n; i++) {
          double slope;
          const double a = activationOf(gate[i], f, slope);
          wantY.push_back(a * up[i]);
          wantGate.push_back(dy[i] * up[i] * slope);
          wantUp.push_back(dy[i] * a);
        }
        compare(lab, "swiglu " + shape, y.now(), wantY, toleranceOf(type));
        compare(lab, "gate's gradient, " + shape, dgate.now(), wantGate, toleranceOf(type));
        compare(lab, "up's gradient, " + shape, dup.now(), wantUp, toleranceOf(type));
      }
}

const AddCases kAdded = {{{"rmsNorm", "rmsNormGrad", "rmsNormWeightGrad"}, norms}, {{"rotaryEmbedding"}, rotary},
    {{"swiglu", "swigluGrad"}, gates}};

}  // namespace
}  // namespace tunesmith::cuda
