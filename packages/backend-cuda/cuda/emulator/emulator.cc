#include "emulator.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <random>
#include <vector>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace emulator {
namespace {

constexpr size_t kStack = 64 * 1024;

// ---- fibers: switch the stack pointer and the registers a callee must keep ------------------------------------------
#if defined(__x86_64__)
using Context = void*;
extern "C" void tunesmithSwitch(void** from, void* to);
asm(R"(
.text
.globl tunesmithSwitch
.hidden tunesmithSwitch
.type tunesmithSwitch, @function
tunesmithSwitch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size tunesmithSwitch, .-tunesmithSwitch
)");
void switchTo(Context& from, Context& to) { tunesmithSwitch(&from, to); }
void prepare(Context& context, char* stack, void (*entry)()) {
  void** top = reinterpret_cast<void**>(stack + kStack);
  *--top = nullptr;  // keeps the stack aligned as after a call
  *--top = reinterpret_cast<void*>(entry);
  top -= 6;
  std::fill(top, top + 6, nullptr);
  context = top;
}
#else
using Context = ucontext_t;
void switchTo(Context& from, Context& to) { swapcontext(&from, &to); }
void prepare(Context& context, char* stack, void (*entry)()) {
  getcontext(&context);
  context.uc_stack.ss_sp = stack;
  context.uc_stack.ss_size = kStack;
  context.uc_link = nullptr;
  makecontext(&context, entry, 0);
}
#endif

struct Warp {
  int lanes = 0, arrived = 0;
  uint64_t generation = 0;
  Table table[2];
};

struct Copy {
  void* to;
  const void* from;  // null: zeros
  int group;
};

struct Thread {
  Context context;
  std::vector<Copy> copies;
  int group = 0;
  Place place;
  Warp* warp = nullptr;
  int lane = 0;
  bool done = false;
  // Waits while *counter == value.
  const uint64_t* counter = nullptr;
  uint64_t value = 0;
};

struct Named {
  int arrived = 0, threads = 0;
  uint64_t generation = 0;
};

struct Block {
  int arrived = 0, alive = 0;
  uint64_t generation = 0;
  Named named[16];
};

Schedule chosen = Schedule::forward;
Context scheduler;
Thread* current = nullptr;
Block block;
void (*kernelBody)(void*) = nullptr;
void* kernelContext = nullptr;
void* sharedMemory = nullptr;
const char* kernelName = "";

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "emulated kernel %s: %s\n", kernelName, what);
  std::abort();
}

void yieldWhile(const uint64_t* counter) {
  current->counter = counter;
  current->value = *counter;
  switchTo(current->context, scheduler);
}

void fiberMain() {
  kernelBody(kernelContext);
  current->done = true;
  block.alive--;
  if (block.arrived > 0 && block.arrived >= block.alive) fail("some threads left while others wait at __syncthreads");
  if (current->warp->arrived > 0) fail("a thread left while lanes of its warp wait for it");
  current->warp->lanes--;
  switchTo(current->context, scheduler);
  fail("a finished thread was resumed");
}

char* stackOf(size_t index) {
  // Never destroyed: fibers of a later launch use them again.
  static auto* all = new std::vector<char*>;
  std::vector<char*>& stacks = *all;
  while (stacks.size() <= index) stacks.push_back(static_cast<char*>(std::aligned_alloc(64, kStack)));
  return stacks[index];
}

// Each warp in turn runs as far as it can without the others, that is to the next barrier of the block: the least fair
// order there is, under which a warp that needs a barrier to wait for others has not waited.
void runBlock(std::vector<Thread>& threads, const std::vector<size_t>& warps, const std::vector<size_t>& lanes) {
  size_t left = threads.size();
  while (left > 0) {
    bool progress = false;
    for (size_t warp : warps)
      for (bool again = true; again;) {
        again = false;
        for (size_t lane : lanes) {
          const size_t i = warp * 32 + lane;
          if (i >= threads.size()) continue;
          Thread& t = threads[i];
          if (t.done || (t.counter && *t.counter == t.value)) continue;
          t.counter = nullptr;
          again = progress = true;
          current = &t;
          switchTo(scheduler, t.context);
          if (t.done) left--;
        }
      }
    if (!progress) fail("threads wait for others that never come (a barrier or warp operation inside a branch)");
  }
  for (const Named& barrier : block.named)
    if (barrier.arrived > 0) fail("a block ended with a barrier at which too few threads arrived");
}

std::vector<size_t> inOrder(size_t count) {
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  if (chosen == Schedule::reverse) std::reverse(order.begin(), order.end());
  return order;
}

// Whether the barrier is complete with this thread.
bool arrive(int number, int threads) {
  if (number < 1 || number > 15 || threads < 32 || threads % 32)
    fail("a barrier outside 1 to 15, or for a part of a warp");
  Named& barrier = block.named[number];
  if (barrier.arrived > 0 && barrier.threads != threads) fail("threads disagree about how many meet at a barrier");
  barrier.threads = threads;
  if (++barrier.arrived < threads) return false;
  barrier.arrived = 0;
  barrier.generation++;
  return true;
}

}  // namespace

bool dry = false;
void setSchedule(Schedule schedule) { chosen = schedule; }
const Place& place() { return current->place; }
void* dynamicShared() { return sharedMemory; }
int lane() { return current->lane; }

void run(const char* name, dim3 grid, dim3 size, size_t sharedBytes, void (*body)(void*), void* context) {
  kernelName = name;
  kernelBody = body;
  kernelContext = context;
  const size_t count = static_cast<size_t>(size.x) * size.y * size.z;
  if (count == 0 || count > 1024) fail("a block must have 1 to 1024 threads");
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.y > 65535 || grid.z > 65535 || grid.x > 2147483647u)
    fail("a grid outside CUDA's limits");
  if (sharedBytes > kSharedPerBlock) fail("more shared memory than a block of the device can have");
  if (dry) return;
  std::vector<Thread> threads(count);
  std::vector<Warp> warps((count + 31) / 32);
  std::vector<size_t> warpOrder = inOrder(warps.size()), laneOrder = inOrder(32);
  std::mt19937 random(12345);
  // Not a vector: the exact size, so that AddressSanitizer sees one element too far.
  sharedMemory = sharedBytes ? std::aligned_alloc(128, (sharedBytes + 127) / 128 * 128) : nullptr;
  for (unsigned z = 0; z < grid.z; z++)
    for (unsigned y = 0; y < grid.y; y++)
      for (unsigned x = 0; x < grid.x; x++) {
        if (chosen == Schedule::shuffled)
          for (std::vector<size_t>* order : {&warpOrder, &laneOrder})
            std::shuffle(order->begin(), order->end(), random);
        if (sharedMemory) std::memset(sharedMemory, 0xff, sharedBytes);
        block = Block();
        block.alive = static_cast<int>(count);
        for (Warp& w : warps) w = Warp();
        for (size_t i = 0; i < count; i++) {
          Thread& t = threads[i];
          t.done = false;
          t.counter = nullptr;
          t.copies.clear();
          t.group = 0;
          t.lane = static_cast<int>(i % 32);
          t.warp = &warps[i / 32];
          t.warp->lanes++;
          const unsigned at = static_cast<unsigned>(i);
          t.place.thread = dim3(at % size.x, at / size.x % size.y, at / (size.x * size.y));
          t.place.block = dim3(x, y, z);
          t.place.blockSize = size;
          t.place.grid = grid;
          prepare(t.context, stackOf(i), fiberMain);
        }
        runBlock(threads, warpOrder, laneOrder);
      }
  std::free(sharedMemory);
  sharedMemory = nullptr;
  current = nullptr;
}

void blockBarrier() {
  block.arrived++;
  if (block.arrived < block.alive) return yieldWhile(&block.generation);
  if (block.alive !=
      static_cast<int>(current->place.blockSize.x * current->place.blockSize.y * current->place.blockSize.z))
    fail("__syncthreads after some threads of the block have left");
  block.arrived = 0;
  block.generation++;
}

void instructions::arriveAt(int barrier, int threads) { arrive(barrier, threads); }

void instructions::waitAt(int barrier, int threads) {
  if (!arrive(barrier, threads)) yieldWhile(&block.named[barrier].generation);
}

const Table& exchange(const uint32_t* words, int count, Combine combine) {
  Warp& warp = *current->warp;
  if (warp.lanes != 32) fail("a warp operation without all 32 lanes");
  const uint64_t mine = warp.generation;
  Table& table = warp.table[mine & 1];
  std::copy(words, words + count, table[current->lane]);
  if (++warp.arrived < 32) {
    yieldWhile(&warp.generation);
  } else {
    if (combine) combine(table);
    warp.arrived = 0;
    warp.generation++;
  }
  return table;
}

void warpBarrier() {
  uint32_t nothing = 0;
  exchange(&nothing, 1, nullptr);
}

void instructions::copyAsync16(void* shared, const void* global, bool valid) {
  if (reinterpret_cast<uintptr_t>(shared) % 16 || reinterpret_cast<uintptr_t>(global) % 16)
    fail("cp.async needs 16-byte boundaries");
  current->copies.push_back({shared, valid ? global : nullptr, current->group});
}

void instructions::commitCopies() { current->group++; }

void instructions::waitCopies() {
  std::vector<Copy> rest;
  for (const Copy& c : current->copies) {
    if (c.group == current->group)
      rest.push_back(c);
    else if (c.from)
      std::memcpy(c.to, c.from, 16);
    else
      std::memset(c.to, 0, 16);
  }
  current->copies.swap(rest);
}

// ---- tensor cores: the fragment layouts of the PTX manual -----------------------------------------------------------

namespace {

float half(uint32_t pair, int which) {
  const uint32_t bits = which ? pair & 0xffff0000u : pair << 16;
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
}

// Words of a lane: a0..a3, b0, b1, c0..c3. With g = lane / 4 and t = lane % 4, register a_r holds row g + 8 (r & 1) and
// columns 2t, 2t + 1, plus 8 for r >= 2; b_r holds rows 2t, 2t + 1, plus 8 for r = 1, of column g; c holds row g,
// columns 2t, 2t + 1, then row g + 8.
void combineMma(Table& lanes) {
  float a[16][16], b[16][8];
  for (int l = 0; l < 32; l++) {
    const int g = l / 4, t = l % 4;
    for (int r = 0; r < 4; r++)
      for (int h = 0; h < 2; h++) a[g + 8 * (r & 1)][2 * t + h + 8 * (r >> 1)] = half(lanes[l][r], h);
    for (int r = 0; r < 2; r++)
      for (int h = 0; h < 2; h++) b[2 * t + h + 8 * r][g] = half(lanes[l][4 + r], h);
  }
  for (int l = 0; l < 32; l++)
    for (int i = 0; i < 4; i++) {
      const int row = l / 4 + 8 * (i >> 1), col = 2 * (l % 4) + (i & 1);
      float sum;
      std::memcpy(&sum, &lanes[l][6 + i], 4);
      for (int k = 0; k < 16; k++) sum += a[row][k] * b[k][col];
      std::memcpy(&lanes[l][6 + i], &sum, 4);
    }
}

// Lane l brings the address of row l % 8 of matrix l / 8 and takes from each matrix its row l / 4, columns 2 (l % 4)
// and the next; transposed: column l / 4, rows 2 (l % 4) and the next.
template <bool transposed> void combineLoad(Table& lanes) {
  uint16_t matrix[4][8][8];
  for (int l = 0; l < 32; l++) {
    const char* row;
    std::memcpy(&row, lanes[l], sizeof row);
    if (reinterpret_cast<uintptr_t>(row) % 16) fail("ldmatrix needs rows on 16-byte boundaries");
    std::memcpy(matrix[l / 8][l % 8], row, 16);
  }
  for (int l = 0; l < 32; l++)
    for (int m = 0; m < 4; m++) {
      const int g = l / 4, t = 2 * (l % 4);
      const uint32_t first = transposed ? matrix[m][t][g] : matrix[m][g][t];
      const uint32_t second = transposed ? matrix[m][t + 1][g] : matrix[m][g][t + 1];
      lanes[l][m] = first | second << 16;
    }
}

}  // namespace

void instructions::mma(float* c, const uint32_t* a, const uint32_t* b) {
  uint32_t words[10];
  std::copy(a, a + 4, words);
  std::copy(b, b + 2, words + 4);
  std::memcpy(words + 6, c, 16);
  const Table& lanes = exchange(words, 10, combineMma);
  std::memcpy(c, &lanes[current->lane][6], 16);
}

template <bool transposed> void instructions::loadMatrices(uint32_t* r, const void* row) {
  uint32_t words[2];
  std::memcpy(words, &row, sizeof row);
  const Table& lanes = exchange(words, 2, combineLoad<transposed>);
  std::copy(lanes[current->lane], lanes[current->lane] + 4, r);
}
template void instructions::loadMatrices<false>(uint32_t* r, const void* row);
template void instructions::loadMatrices<true>(uint32_t* r, const void* row);

uint32_t instructions::packBf16(float lo, float hi) {
  uint32_t words[2];
  std::memcpy(words, &lo, 4);
  std::memcpy(words + 1, &hi, 4);
  for (uint32_t& u : words) u = (u & 0x7fffffffu) > 0x7f800000u ? 0x7fffu : (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
  return words[0] | words[1] << 16;
}

}  // namespace emulator
