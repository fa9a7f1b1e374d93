// Moves tensors between the device and pinned host memory, behind the computation, on a stream of its own.
//
// Offloading is asked for: the values leave while the computation goes on, and come back with the tensor's next use or
// a little before. Pageable tensors leave when memory is short, those used longest ago first, as bitsandbytes' unified
// memory does it for optimizer states. Either way a tensor is used as if it had never been away.
#pragma once
#include <list>

#include "allocator.h"
#include "pinned_pool.h"

namespace tunesmith::cuda {

class Pager {
 public:
  // The memory of a tensor that may move.
  class Page;

  // `compute`: the stream on which all operations run. Must not outlive any of the three.
  Pager(Runtime& runtime, Allocator& allocator, Stream compute);
  ~Pager();
  Pager(const Pager&) = delete;
  Pager& operator=(const Pager&) = delete;

  // From now on `device`, memory of the compute stream, is the pager's.
  Page* add(void* device, size_t bytes);
  void remove(Page* page);
  // A new operation begins: what the last one used may leave the device again.
  void begin() { operation_++; }
  // The memory, for operations submitted to the compute stream next. Throws Failure when the device has no room.
  void* use(Page* page);

  void setPageable(Page* page, bool pageable);
  // The name under which the memory is counted.
  void setLabel(Page* page, int label);
  // Begins to copy the values out. The device's memory is free for what is submitted after the next offload, so that
  // the computation never waits for a copy that has just begun.
  void offload(Page* page);
  // Begins to bring the values back, if the device has room.
  void prefetch(Page* page);
  // The values in pinned memory, arrived; nullptr when they are on the device.
  const void* onHost(Page* page);
  // Moves pageable tensors out until `bytes` are free; false when not a single one could be.
  bool makeRoom(size_t bytes);
  // Gives unused pinned memory back.
  void trim() { pinned_.trim(); }

  // Bytes of tensors whose values are on the host only, and pinned memory held for that in all.
  size_t away() const { return away_; }
  size_t pinned() const { return pinned_.bytes(); }

 private:
  bool copyOut(Page& page);
  void leave(Page& page);
  void fetch(Page& page);
  void arrive(Page& page);
  void copiesWait();
  void computeWaits();

  Runtime& runtime_;
  Allocator& allocator_;
  Stream compute_, copies_;
  Event event_;
  bool copied_ = false;  // something that the compute stream does not wait for yet
  PinnedPool pinned_;
  std::list<Page> pages_;  // used longest ago first
  uint64_t operation_ = 1;
  size_t away_ = 0;
};

class Pager::Page {
  friend class Pager;
  // leaving: the copy out was submitted and the device still has the values; arriving: the copy in was, and the compute
  // stream does not wait for it yet.
  enum class Place { device, leaving, host, arriving };
  Place place_ = Place::device;
  void *device_ = nullptr, *pinned_ = nullptr;
  size_t bytes_ = 0;
  int label_ = 0;
  bool pageable_ = false;
  uint64_t used_ = 0;
  std::list<Page>::iterator self_;
};
inline void Pager::setPageable(Page* page, bool pageable) { page->pageable_ = pageable; }

}  // namespace tunesmith::cuda
