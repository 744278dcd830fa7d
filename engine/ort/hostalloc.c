#include "hostalloc.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#ifdef _WIN32
#include <malloc.h>
#else
#include <sys/mman.h>
#endif

enum {
  cg_line = 64,             // bytes of a cache line, the least alignment of buffers
  cg_huge = 2 << 20,        // bytes of a huge page
  cg_huge_least = 4 << 20,  // buffers of at least this size ask for huge pages
  cg_kept_least = 256 << 10,  // smaller buffers go to and from the C heap
  cg_step = 64 << 10,       // larger ones are multiples of this
  cg_kept = 32 << 20,       // bytes of freed buffers that wait for the next ones
  cg_blocks = 512           // buffers that are followed; further ones are freed at once
};

// New memory is cleared by the system, a page at a time as it is first written. With pages of 4 KiB and nothing kept that was a quarter of the
// CPU time of decoding a video.
static void *obtain(size_t size) {
#ifdef _WIN32
  return _aligned_malloc(size, cg_line);
#else
  void *p = NULL;
  if (posix_memalign(&p, size >= cg_huge_least ? cg_huge : cg_line, size)) return NULL;
#ifdef MADV_HUGEPAGE
  if (size >= cg_huge_least) madvise(p, size, MADV_HUGEPAGE);  // advice: where the system refuses it, pages are small
#endif
  return p;
#endif
}

static void discard(void *p) {
#ifdef _WIN32
  _aligned_free(p);
#else
  free(p);
#endif
}

// A block is a buffer that is in use, or that was freed at a time and waits for the next one of about its size.
typedef struct {
  void *p;
  size_t size;
  uint64_t freed;  // 0 while in use
} block;

static block blocks[cg_blocks];
static int known;
static size_t kept;
static uint64_t now;
static atomic_flag busy = ATOMIC_FLAG_INIT;

static void lock(void) {
  while (atomic_flag_test_and_set_explicit(&busy, memory_order_acquire)) {
  }
}
static void unlock(void) { atomic_flag_clear_explicit(&busy, memory_order_release); }

// reuse returns the smallest waiting block of at least size bytes that wastes at most a quarter.
static void *reuse(size_t size) {
  int best = -1;
  for (int i = 0; i < known; i++) {
    const block *b = &blocks[i];
    if (b->freed && b->size >= size && b->size - size <= size / 4 && (best < 0 || b->size < blocks[best].size)) best = i;
  }
  if (best < 0) return NULL;
  blocks[best].freed = 0;
  kept -= blocks[best].size;
  return blocks[best].p;
}

// oldest takes the block that has waited longest out of the table.
static void *oldest(void) {
  int at = -1;
  for (int i = 0; i < known; i++) {
    if (blocks[i].freed && (at < 0 || blocks[i].freed < blocks[at].freed)) at = i;
  }
  if (at < 0) return NULL;
  void *p = blocks[at].p;
  kept -= blocks[at].size;
  blocks[at] = blocks[--known];
  return p;
}

static void *ORT_API_CALL allocate(OrtAllocator *self, size_t size) {
  (void)self;
  if (size == 0) return NULL;
  if (size < cg_kept_least) return obtain(size);
  size = (size + cg_step - 1) / cg_step * cg_step;
  lock();
  void *p = reuse(size);
  unlock();
  if (p) return p;
  p = obtain(size);
  if (!p) {
    cg_trim_host();
    if (!(p = obtain(size))) return NULL;
  }
  lock();
  if (known < cg_blocks) blocks[known++] = (block){p, size, 0};
  unlock();
  return p;
}

static void ORT_API_CALL give_back(OrtAllocator *self, void *p) {
  (void)self;
  if (!p) return;
  lock();
  for (int i = 0; i < known; i++) {
    if (blocks[i].p != p) continue;
    blocks[i].freed = ++now;
    kept += blocks[i].size;
    p = NULL;
    break;
  }
  // A buffer leaves the table before it goes back to the system, where another thread may get the same address.
  while (!p && kept > cg_kept) {
    void *old = oldest();
    unlock();
    discard(old);
    lock();
  }
  unlock();
  if (p) discard(p);
}

void cg_trim_host(void) {
  for (;;) {
    lock();
    void *p = oldest();
    unlock();
    if (!p) return;
    discard(p);
  }
}

static OrtMemoryInfo *host_info;

static const OrtMemoryInfo *ORT_API_CALL info_of(const OrtAllocator *self) {
  (void)self;
  return host_info;
}

static OrtAllocator host = {.version = ORT_API_VERSION, .Alloc = allocate, .Free = give_back, .Info = info_of, .Reserve = allocate};

OrtStatus *cg_share_host(const OrtApi *api, OrtEnv *env) {
  OrtStatus *st = api->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &host_info);
  return st ? st : api->RegisterAllocator(env, &host);
}

OrtStatus *cg_unshare_host(const OrtApi *api, OrtEnv *env) {
  OrtStatus *st = api->UnregisterAllocator(env, host_info);
  api->ReleaseMemoryInfo(host_info);
  host_info = NULL;
  cg_trim_host();
  return st;
}
