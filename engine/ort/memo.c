#include "memo.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef struct shared_input {
  struct shared_input *next;
  size_t bytes, users;
  char data[];
} shared_input;

struct cg_kept {
  shared_input *x;
  size_t size;
  char result[];
};

struct cg_memo {
  pthread_mutex_t lock;
  size_t most, bytes;
  shared_input *inputs;
};

cg_memo *cg_memo_new(size_t most) {
  cg_memo *m = calloc(1, sizeof *m);
  if (m == NULL) return NULL;
  m->most = most;
  if (pthread_mutex_init(&m->lock, NULL) != 0) {
    free(m);
    return NULL;
  }
  return m;
}

void cg_memo_free(cg_memo *m) {
  if (m == NULL) return;
  pthread_mutex_destroy(&m->lock);
  free(m);
}

size_t cg_memo_bytes(cg_memo *m) {
  pthread_mutex_lock(&m->lock);
  size_t n = m->bytes;
  pthread_mutex_unlock(&m->lock);
  return n;
}

int cg_recall(cg_memo *m, cg_kept *const *slot, const void *x, size_t bytes, void *y, size_t size) {
  pthread_mutex_lock(&m->lock);
  const cg_kept *k = *slot;
  int found = k && k->size == size && k->x->bytes == bytes && memcmp(k->x->data, x, bytes) == 0;
  if (found) memcpy(y, k->result, size);
  pthread_mutex_unlock(&m->lock);
  return found;
}

static void drop_input(cg_memo *m, shared_input *x) {
  if (--x->users > 0) return;
  shared_input **p = &m->inputs;
  while (*p != x) p = &(*p)->next;
  *p = x->next;
  m->bytes -= x->bytes;
  free(x);
}

static void forget(cg_memo *m, cg_kept **slot) {
  if (*slot == NULL) return;
  m->bytes -= (*slot)->size;
  drop_input(m, (*slot)->x);
  free(*slot);
  *slot = NULL;
}

void cg_forget(cg_memo *m, cg_kept **slot) {
  pthread_mutex_lock(&m->lock);
  forget(m, slot);
  pthread_mutex_unlock(&m->lock);
}

// fits reports that more bytes may be kept.
static int fits(const cg_memo *m, size_t bytes) { return m->bytes <= m->most && bytes <= m->most - m->bytes; }

// share returns the copy of x, which is made when there is none; NULL when it cannot be kept.
static shared_input *share(cg_memo *m, const void *x, size_t bytes) {
  for (shared_input *s = m->inputs; s; s = s->next) {
    if (s->bytes == bytes && memcmp(s->data, x, bytes) == 0) return s;
  }
  shared_input *s = fits(m, bytes) ? malloc(sizeof *s + bytes) : NULL;
  if (s == NULL) return NULL;
  s->next = m->inputs;
  s->bytes = bytes;
  s->users = 0;
  memcpy(s->data, x, bytes);
  m->inputs = s;
  m->bytes += bytes;
  return s;
}

void cg_remember(cg_memo *m, cg_kept **slot, const void *x, size_t bytes, const void *y, size_t size) {
  pthread_mutex_lock(&m->lock);
  forget(m, slot);
  shared_input *s = share(m, x, bytes);
  if (s) {
    s->users++;
    cg_kept *k = fits(m, size) ? malloc(sizeof *k + size) : NULL;
    if (k) {
      k->x = s;
      k->size = size;
      memcpy(k->result, y, size);
      m->bytes += size;
      *slot = k;
    } else {
      drop_input(m, s);
    }
  }
  pthread_mutex_unlock(&m->lock);
}
