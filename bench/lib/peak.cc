// The most that an x86-64 processor can multiply and add: loops of nothing but that, in registers. Prints GFLOP/s.
//
// `peak f32|bf16 THREADS SECONDS`: float32 FMA, or products of bfloat16 with sums in float32: AMX tiles (tdpbf16ps)
// where the processor and the system have them, else vdpbf16ps. Built for the processor it runs on; ends with 2 where
// that has no such instruction. Every sum is a variable of its own and every instruction is written out, so that the
// compiler can neither join nor spill them; twelve sums are more than two units with a latency of five need.

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#if defined(__AMX_BF16__) && defined(__linux__)
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#if defined(__AVX512F__)
typedef float Vector __attribute__((vector_size(64)));
#elif defined(__FMA__)
typedef float Vector __attribute__((vector_size(32)));
#endif

#define EACH_SUM(DO) DO(a) DO(b) DO(c) DO(d) DO(e) DO(f) DO(g) DO(h) DO(i) DO(j) DO(k) DO(l)
#define SUM(name) Vector name = {};
#define FMA(sum) asm volatile("vfmadd231ps %1, %1, %0" : "+v"(sum) : "v"(factor));
#define DOT_BF16(sum) asm volatile("vdpbf16ps %1, %1, %0" : "+v"(sum) : "v"(factor));
#define REPEAT_UNTIL_STOP(INSTRUCTION)                                 \
  for (; !stop.load(std::memory_order_relaxed); instructions += 12000) \
    for (int repeat = 0; repeat < 1000; repeat++) {                    \
      EACH_SUM(INSTRUCTION)                                            \
    }

#if defined(__AMX_BF16__) && defined(__linux__)
// Eight tiles of 16 rows of 64 bytes.
alignas(64) static const
    unsigned char tileShapes[64] = {1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 64, 0, 64, 0, 64, 0, 64, 0,
        64, 0, 64, 0, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 16, 16, 16, 16, 16, 16, 16};

// As `operations`, in tiles; 0 where the system does not grant them.
static double tileOperations(const std::atomic<bool>& stop) {
  if (syscall(SYS_arch_prctl, 0x1023, 18) != 0) return 0;
  _tile_loadconfig(tileShapes);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  _tile_zero(5);
  _tile_zero(6);
  _tile_zero(7);
  double instructions = 0;
  for (; !stop.load(std::memory_order_relaxed); instructions += 4000)
    for (int repeat = 0; repeat < 1000; repeat++) {
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
  _tile_release();
  return 2.0 * 16 * 16 * 32 * instructions;
}
#endif

// Multiplications and additions of one thread until `stop` is set; 0 where there is no instruction.
static double operations(bool bf16, const std::atomic<bool>& stop) {
#if defined(__AMX_BF16__) && defined(__linux__)
  if (bf16)
    if (const double done = tileOperations(stop)) return done;
#endif
  double instructions = 0;
#if defined(__FMA__)
  EACH_SUM(SUM)
  Vector factor = {};
  const double products = sizeof(Vector) / sizeof(float);
  if (!bf16) {
    REPEAT_UNTIL_STOP(FMA)
    return 2 * products * instructions;
  }
#if defined(__AVX512BF16__)
  REPEAT_UNTIL_STOP(DOT_BF16)
  return 4 * products * instructions;
#endif
#endif
  return instructions;
}

int main(int count, char** arguments) {
  if (count != 4) return 1;
  const bool bf16 = std::strcmp(arguments[1], "bf16") == 0;
  std::vector<double> done(std::atoi(arguments[2]));
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  const auto start = std::chrono::steady_clock::now();
  for (double& each : done) threads.emplace_back([&] { each = operations(bf16, stop); });
  std::this_thread::sleep_for(std::chrono::duration<double>(std::atof(arguments[3])));
  stop = true;
  for (std::thread& thread : threads) thread.join();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  double total = 0;
  for (double each : done) total += each;
  if (total == 0) return 2;
  std::printf("%g\n", total / seconds / 1e9);
}
