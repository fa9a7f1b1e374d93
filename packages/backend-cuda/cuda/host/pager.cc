#include "pager.h"

#include <vector>

#include "failure.h"
#include "launch_profile.h"

namespace tunesmith::cuda {

Pager::Pager(Runtime& runtime, Allocator& allocator, Stream compute)
    : runtime_(runtime), allocator_(allocator), compute_(compute), copies_(runtime.createStream()),
      event_(runtime.createEvent()), pinned_(runtime, copies_) {
  allocator_.onShortage = [this](size_t bytes) { return makeRoom(bytes); };
}

Pager::~Pager() {
  allocator_.onShortage = nullptr;
  try {
    runtime_.synchronize(copies_);
  } catch (...) {
    // Whoever wanted the values was told already.
  }
  runtime_.destroyEvent(event_);
}

Pager::Page* Pager::add(void* device, size_t bytes) {
  pages_.emplace_back();
  Page& page = pages_.back();
  page.self_ = std::prev(pages_.end());
  page.device_ = device;
  page.bytes_ = bytes;
  page.label_ = allocator_.labelOf(device);
  return &page;
}

void Pager::remove(Page* page) {
  // The memory's next owner must not be overwritten by what still arrives.
  if (page->place_ == Page::Place::arriving) computeWaits();
  if (page->device_) {
    allocator_.release(page->device_);
  } else {
    away_ -= page->bytes_;
  }
  if (page->pinned_) pinned_.give(page->pinned_);
  pages_.erase(page->self_);
}

void* Pager::use(Page* page) {
  page->used_ = operation_;
  pages_.splice(pages_.end(), pages_, page->self_);
  if (page->place_ == Page::Place::host) fetch(*page);
  if (page->place_ == Page::Place::arriving) arrive(*page);
  if (page->place_ == Page::Place::leaving) {
    // It may be written now: the copy is worth nothing.
    pinned_.give(page->pinned_);
    page->pinned_ = nullptr;
    page->place_ = Page::Place::device;
  }
  return page->device_;
}

void Pager::setLabel(Page* page, int label) {
  page->label_ = label;
  if (page->device_) allocator_.setLabel(page->device_, label);
}

void Pager::offload(Page* page) {
  for (Page& other : pages_)
    if (other.place_ == Page::Place::leaving) leave(other);
  if (page->place_ == Page::Place::arriving) arrive(*page);
  if (page->place_ != Page::Place::device) return;
  if (!copyOut(*page))
    throw Failure("out_of_memory",
        "No pinned host memory for an activation that is to leave the GPU (" + std::to_string(page->bytes_ >> 20) +
            " MiB, " + std::to_string(pinned_.bytes() >> 20) + " MiB are in use for that)",
        "Turn activationOffloading off, free memory of the host, or raise the limit of locked memory (ulimit -l)");
}

void Pager::prefetch(Page* page) {
  // What came before this one is needed first; waiting for it later would mean waiting for this copy too.
  for (Page& other : pages_)
    if (other.place_ == Page::Place::arriving) arrive(other);
  if (page->place_ != Page::Place::host) return;
  try {
    fetch(*page);
  } catch (const Failure& f) {
    if (f.code != "out_of_memory") throw;
  }
}

const void* Pager::onHost(Page* page) {
  if (page->place_ != Page::Place::host) return nullptr;
  runtime_.synchronize(copies_);
  return page->pinned_;
}

bool Pager::makeRoom(size_t bytes) {
  std::vector<Page*> chosen;
  size_t freed = 0;
  for (Page& page : pages_) {
    if (page.place_ == Page::Place::leaving) {
      chosen.push_back(&page);
      freed += page.bytes_;
    }
  }
  for (Page& page : pages_) {
    if (freed >= bytes) break;
    if (!page.pageable_ || page.used_ == operation_ || page.place_ == Page::Place::leaving ||
        page.place_ == Page::Place::host)
      continue;
    if (page.place_ == Page::Place::arriving) arrive(page);
    if (!copyOut(page)) break;
    chosen.push_back(&page);
    freed += page.bytes_;
  }
  for (Page* page : chosen) leave(*page);
  return !chosen.empty();
}

// The copies that come next run after everything the computation has been asked for.
void Pager::copiesWait() {
  runtime_.record(event_, compute_);
  runtime_.streamWaits(copies_, event_);
}

// What the computation is asked for next runs after the copies so far.
void Pager::computeWaits() {
  if (!copied_) return;
  runtime_.record(event_, copies_);
  runtime_.streamWaits(compute_, event_);
  copied_ = false;
}

bool Pager::copyOut(Page& page) {
  page.pinned_ = pinned_.take(page.bytes_);
  if (!page.pinned_) return false;
  copiesWait();
  const LaunchScope scope("copyToHost", copies_);
  runtime_.copyToHost(page.pinned_, page.device_, page.bytes_, copies_);
  copied_ = true;
  page.place_ = Page::Place::leaving;
  return true;
}

void Pager::leave(Page& page) {
  // Its memory is reused by the compute stream, which therefore has to come after the copy.
  computeWaits();
  allocator_.release(page.device_);
  page.device_ = nullptr;
  page.place_ = Page::Place::host;
  away_ += page.bytes_;
}

void Pager::fetch(Page& page) {
  page.device_ = allocator_.allocate(page.bytes_, compute_, page.label_);
  // The memory's last owner may still be at work.
  copiesWait();
  const LaunchScope scope("copyToDevice", copies_);
  runtime_.copyToDevice(page.device_, page.pinned_, page.bytes_, copies_);
  copied_ = true;
  pinned_.give(page.pinned_);
  page.pinned_ = nullptr;
  page.place_ = Page::Place::arriving;
  away_ -= page.bytes_;
}

void Pager::arrive(Page& page) {
  computeWaits();
  page.place_ = Page::Place::device;
}

}  // namespace tunesmith::cuda
