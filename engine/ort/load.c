#include "shim.h"

typedef const OrtApiBase *(*base_fn)(void);

static const OrtApi *api_of(void *symbol, char *err, size_t err_len) {
  const OrtApiBase *base = ((base_fn)symbol)();
  const OrtApi *api = base->GetApi(ORT_API_VERSION);
  if (api == NULL) {
    snprintf(err, err_len, "version %s does not offer interface %d", base->GetVersionString(), ORT_API_VERSION);
  }
  return api;
}

#ifdef COMFYGO_WINDOWS
#include <windows.h>

static HMODULE open_library(const char *path, char *err, size_t err_len) {
  wchar_t wide[4096];
  if (MultiByteToWideChar(CP_UTF8, 0, path, -1, wide, 4096) == 0) {
    snprintf(err, err_len, "the path is not usable");
    return NULL;
  }
  HMODULE h = LoadLibraryExW(wide, NULL, LOAD_WITH_ALTERED_SEARCH_PATH);
  if (h == NULL) snprintf(err, err_len, "windows error %lu", (unsigned long)GetLastError());
  return h;
}

const OrtApi *cg_attach(const char *path, char *err, size_t err_len) {
  HMODULE h = open_library(path, err, err_len);
  if (h == NULL) return NULL;
  void *symbol = (void *)GetProcAddress(h, "OrtGetApiBase");
  if (symbol == NULL) {
    snprintf(err, err_len, "it does not export OrtGetApiBase");
    return NULL;
  }
  return api_of(symbol, err, err_len);
}

int cg_preload(const char *path, char *err, size_t err_len) { return open_library(path, err, err_len) == NULL; }

#else
#include <dlfcn.h>

const OrtApi *cg_attach(const char *path, char *err, size_t err_len) {
  void *h = dlopen(path, RTLD_LAZY);
  void *symbol = h ? dlsym(h, "OrtGetApiBase") : NULL;
  if (symbol == NULL) {
    snprintf(err, err_len, "%s", dlerror());
    return NULL;
  }
  return api_of(symbol, err, err_len);
}

int cg_preload(const char *path, char *err, size_t err_len) {
  if (dlopen(path, RTLD_LAZY | RTLD_GLOBAL)) return 0;
  snprintf(err, err_len, "%s", dlerror());
  return 1;
}
#endif
