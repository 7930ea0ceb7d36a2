/* dlopen(3): the dynamic loader. It tells no errno but a text, which goes out through `said`: it must be read before
 * the thread's next call to the loader. */
#include "internal.h"

#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* No errno fits all that a loader may complain of, so it is ELIBACC, which is about shared libraries and nothing else;
 * but ENOENT where a path leads nowhere. A bare name is looked for in many places, by rules of the loader's own, and a
 * library that is there may need one that is not: whether a file is missing is then not for us to tell. */
static int complaint(const char *filename) {
    const bool is_path = filename != NULL && strchr(filename, '/') != NULL;
    return is_path && access(filename, F_OK) < 0 && errno == ENOENT ? -ENOENT : -ELIBACC;
}

int uipc_dlopen(const char *filename, int flags, void **handle, const char **said) {
    dlerror();
    *handle = dlopen(filename, flags);
    *said = *handle == NULL ? dlerror() : NULL;
    return *handle == NULL ? complaint(filename) : 0;
}

int uipc_dlclose(void *handle, const char **said) {
    dlerror();
    const int failed = dlclose(handle);
    *said = failed ? dlerror() : NULL;
    return failed ? -ELIBACC : 0;
}

void *uipc_rtld_default(void) { return RTLD_DEFAULT; }

/* NULL can be a symbol's true address: only the text tells. */
int uipc_dlsym(void *handle, const char *symbol, const char *version, uint64_t *address, const char **said) {
    dlerror();
    void *const found = version == NULL ? dlsym(handle, symbol) : dlvsym(handle, symbol, version);
    *address = (uint64_t)(uintptr_t)found;
    *said = found == NULL ? dlerror() : NULL;
    return *said == NULL ? 0 : -ELIBACC;
}

bool uipc_dladdr(uint64_t address, struct uipc_dl_info *info) {
    Dl_info found;
    if (dladdr((void *)(uintptr_t)address, &found) == 0) {
        return false;
    }
    info->fname = found.dli_fname;
    info->fbase = (uint64_t)(uintptr_t)found.dli_fbase;
    info->sname = found.dli_sname;
    info->saddr = (uint64_t)(uintptr_t)found.dli_saddr;
    return true;
}

/* Called under the loader's lock: it copies, and calls nothing that could want the loader. */
static int copy(struct dl_phdr_info *info, size_t size, void *data) {
    struct uipc_loaded ***const end = data;
    const size_t phdrs = info->dlpi_phnum * sizeof *info->dlpi_phdr;
    const size_t name = strlen(info->dlpi_name) + 1;
    struct uipc_loaded *const loaded = malloc(sizeof *loaded + phdrs + name);
    (void)size;
    if (loaded == NULL) {
        return -ENOMEM;
    }
    loaded->next = NULL;
    loaded->info = *info;
    loaded->info.dlpi_phdr = memcpy(loaded->phdrs, info->dlpi_phdr, phdrs);
    loaded->info.dlpi_name = memcpy(&loaded->phdrs[info->dlpi_phnum], info->dlpi_name, name);
    **end = loaded;
    *end = &loaded->next;
    return 0;
}

int uipc_dl_iterate_phdr(struct uipc_loaded **first) {
    struct uipc_loaded **end = first;
    *first = NULL;
    return dl_iterate_phdr(copy, &end);
}

void uipc_free_loaded(struct uipc_loaded *first) {
    while (first != NULL) {
        struct uipc_loaded *const next = first->next;
        free(first);
        first = next;
    }
}
