/* Memory of mmap(2) and shmat(2) that exports its bytes as a buffer: a view pins it, and no view can crash.
 *
 * Each call on such memory is one step here. Between two bytecodes a signal handler or another thread could unmap what
 * a call is about to use, or an exception strike before the memory has an owner. */
#include "cpython.h"

#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

enum origin { FROM_MMAP, FROM_SHMAT };

struct memory {
    PyObject head;
    uint64_t address;
    Py_ssize_t length;
    size_t guard;      /* bytes before and behind it that nobody can touch; they go with it */
    Py_ssize_t pins;   /* views and calls that use the memory now */
    Py_ssize_t backed; /* the length when the kernel was last asked for the pages on behalf of a subscript */
    enum origin origin;
    bool readable;
    bool writable;
    bool poisoned;  /* touching it is fatal whatever mprotect() says */
    bool sure;      /* private anonymous memory of normal pages: each can be had at any time */
    bool huge;      /* of huge pages, or locked: what is not there yet may never be */
    bool closed;    /* by munmap() or shmdt(); the memory itself goes with the last pin */
    bool lasting;   /* pinned for good: a signal handler may touch it at any time, in a forked child, too */
    pid_t forkless; /* MADV_DONTFORK: the only process that has the memory; 0 without it */
    bool is_stack;  /* sigaltstack() put it in place, which is one of the pins, and a reference */
};

static struct memory *memory_of(PyObject *object) { return (struct memory *)(void *)object; }

static size_t pages(size_t length) {
    const size_t page = (size_t)uipc_page_size();
    return length > SIZE_MAX - page ? SIZE_MAX / page * page : (length + page - 1) / page * page;
}

/* -- life -- */

static bool is_absent(const struct memory *memory) { return memory->forkless != 0 && memory->forkless != getpid(); }

static int give_back(const struct memory *memory) {
    if (is_absent(memory)) {
        return 0;
    }
    return memory->origin == FROM_MMAP
               ? uipc_munmap(memory->address - memory->guard, (size_t)memory->length + 2 * memory->guard)
               : uipc_shmdt(memory->address);
}

static void unpin(struct memory *memory) {
    memory->pins--;
    if (memory->closed && memory->pins == 0) {
        give_back(memory);
    }
}

/* For good: the reference is given away. Closed memory is still there as long as the caller has a view of it. */
static PyObject *memory_pin(PyObject *self, PyObject *unused) {
    struct memory *const memory = memory_of(self);
    (void)unused;
    if (memory->forkless != 0) {
        PyErr_SetString(PyExc_ValueError, "a forked child would not have this memory, where MADV_DONTFORK was given");
        return NULL;
    }
    memory->lasting = true;
    memory->pins++;
    Py_INCREF(self);
    Py_RETURN_NONE;
}

int uipc_refuse_absent(PyObject *memory) {
    if (is_absent(memory_of(memory))) {
        PyErr_SetString(PyExc_ValueError, "this mapping did not come along in fork(): its parent set MADV_DONTFORK");
        return -1;
    }
    return 0;
}

static int refuse_closed(const struct memory *memory) {
    if (memory->closed) {
        PyErr_Format(PyExc_ValueError, "this %s is closed", memory->origin == FROM_MMAP ? "mapping" : "attachment");
        return -1;
    }
    return uipc_refuse_absent((PyObject *)(uintptr_t)memory);
}

/* isinstance() believes what an object says of itself; this looks. */
int uipc_refuse_others(PyObject *module, PyObject *object) {
    if (object == Py_None || PyObject_TypeCheck(object, (PyTypeObject *)uipc_module(module)->memory)) {
        return 0;
    }
    PyErr_Format(PyExc_TypeError, "it is no memory of ours: %R", object);
    return -1;
}

static int refuse_stack(const struct memory *memory, const char *what) {
    if (memory->is_stack) {
        PyErr_Format(PyExc_BufferError, "cannot %s memory that signal handlers run on: sigaltstack() replaces it",
                     what);
        return -1;
    }
    return 0;
}

static int refuse_guarded(const struct memory *memory, const char *what) {
    if (memory->guard > 0) {
        PyErr_Format(PyExc_ValueError, "cannot %s memory between guard pages: its place and size are fixed", what);
        return -1;
    }
    return 0;
}

static int refuse_pinned(const struct memory *memory, const char *what) {
    if (refuse_closed(memory) < 0) {
        return -1;
    }
    if (refuse_stack(memory, what) < 0) {
        return -1;
    }
    if (memory->pins > 0) {
        PyErr_Format(PyExc_BufferError,
                     "cannot %s memory that %zd view(s) still show, or signal handlers use: release them first", what,
                     memory->pins);
        return -1;
    }
    return 0;
}

/* An object that owns nothing yet: what a system call gives next can then not be without an owner. To make it can
 * collect garbage, which runs any code: look at other memory after that. */
static struct memory *memory_new(PyObject *module, PyObject *cls, enum origin origin) {
    if (PyObject_IsSubclass(cls, uipc_module(module)->memory) != 1) {
        PyErr_SetString(PyExc_TypeError, "a subclass of Memory is needed");
        return NULL;
    }
    PyObject *const self = PyType_GenericAlloc((PyTypeObject *)cls, 0);
    if (self != NULL) {
        memory_of(self)->origin = origin;
        memory_of(self)->closed = true;
    }
    return (struct memory *)(void *)self;
}

static PyObject *owner_of(struct memory *memory, uint64_t address, size_t length) {
    memory->address = address;
    memory->length = (Py_ssize_t)length;
    memory->closed = false;
    return (PyObject *)memory;
}

static PyObject *without_owner(struct memory *memory, int error) {
    Py_DECREF((PyObject *)memory);
    return PyErr_Occurred() ? NULL : PyLong_FromLong(error);
}

/* -- arguments: a part of the memory, whose length may be None for all that follows -- */

struct part {
    size_t start;
    size_t stop;
};

static int part_of(const struct memory *memory, PyObject *offset, PyObject *length, struct part *part) {
    /* Asking the arguments for their values can run any code: look at the memory after that. */
    const Py_ssize_t start = PyNumber_AsSsize_t(offset, PyExc_OverflowError);
    if (PyErr_Occurred()) {
        return -1;
    }
    Py_ssize_t count = length == Py_None ? 0 : PyNumber_AsSsize_t(length, PyExc_OverflowError);
    if (PyErr_Occurred() || refuse_closed(memory) < 0) {
        return -1;
    }
    const size_t whole = pages((size_t)memory->length);
    if (length == Py_None) {
        count = memory->length - start;
    }
    if (start < 0 || count < 0 || (size_t)start > whole || (size_t)count > whole - (size_t)start) {
        PyErr_Format(PyExc_ValueError, "%zd bytes from %zd on are not within the %zd of this memory",
                     length == Py_None && count < 0 ? 0 : count, start, memory->length);
        return -1;
    }
    part->start = (size_t)start;
    part->stop = (size_t)start + (size_t)count;
    return 0;
}

/* -- the buffer -- */

/* Whether the kernel can give us the pages, or would raise SIGBUS: behind the end of a file that is too short or became
 * so, and where no huge page is left. Kernels before 5.14 cannot tell. */
static int refuse_unbacked(const struct memory *memory) {
#ifdef MADV_POPULATE_READ
    const size_t page = (size_t)uipc_page_size();
    const size_t size = pages((size_t)memory->length);
    const size_t part = memory->huge ? size : page;
    const int result = memory->sure ? 0 : uipc_madvise(memory->address + size - part, part, MADV_POPULATE_READ);
    if (result < 0 && result != -EINVAL) {
        PyErr_SetString(PyExc_BufferError, "part of this memory has no pages: it lies behind the end of its file, or "
                                           "no huge page is left");
        return -1;
    }
#else
    (void)memory;
#endif
    return 0;
}

static int refuse_unreadable(const struct memory *memory) {
    if (refuse_closed(memory) < 0 || refuse_stack(memory, "show") < 0) {
        return -1;
    }
    if (!memory->readable || memory->poisoned) {
        PyErr_SetString(PyExc_BufferError, "this memory, or part of it, cannot be read: mprotect() all of it first");
        return -1;
    }
    return 0;
}

static int memory_getbuffer(PyObject *self, Py_buffer *view, int flags) {
    struct memory *const memory = memory_of(self);
    view->obj = NULL;
    void *const start = (void *)(uintptr_t)memory->address;
    if (refuse_unreadable(memory) < 0 || refuse_unbacked(memory) < 0 ||
        PyBuffer_FillInfo(view, self, start, memory->length, !memory->writable, flags) < 0) {
        return -1;
    }
    memory->pins++;
    return 0;
}

static void memory_releasebuffer(PyObject *self, Py_buffer *view) {
    (void)view;
    unpin(memory_of(self));
}

static Py_ssize_t memory_length(PyObject *self) { return memory_of(self)->closed ? 0 : memory_of(self)->length; }

/* -- subscripts: bytes of a slice, and numbers, as an mmap has them -- */

struct places {
    bool is_slice;
    Py_ssize_t start;
    Py_ssize_t stop;
    Py_ssize_t step;
    Py_ssize_t count;
};

/* To ask a key for its numbers can run any code: look at the memory after that. */
static inline int unpack(PyObject *key, struct places *places) {
    places->is_slice = PySlice_Check(key);
    if (places->is_slice) {
        return PySlice_Unpack(key, &places->start, &places->stop, &places->step);
    }
    if (!PyIndex_Check(key)) {
        PyErr_Format(PyExc_TypeError, "bytes are asked for by their numbers or by slices, and not by %R", key);
        return -1;
    }
    places->start = PyNumber_AsSsize_t(key, PyExc_IndexError);
    return places->start == -1 && PyErr_Occurred() ? -1 : 0;
}

/* The kernel is asked once for the pages, as for a view that is kept. */
static int refuse_touching(struct memory *memory, bool writes) {
    if (refuse_unreadable(memory) < 0) {
        return -1;
    }
    if (writes && !memory->writable) {
        PyErr_SetString(PyExc_TypeError, "this memory is read-only");
        return -1;
    }
    if (memory->backed != memory->length && refuse_unbacked(memory) < 0) {
        return -1;
    }
    memory->backed = memory->length;
    return 0;
}

static inline bool is_plain(const struct memory *memory) {
    return !memory->closed && !memory->is_stack && memory->readable && memory->writable && !memory->poisoned &&
           memory->forkless == 0 && memory->backed == memory->length;
}

static inline int find(struct memory *memory, struct places *places, bool writes) {
    if (!is_plain(memory) && refuse_touching(memory, writes) < 0) {
        return -1;
    }
    if (places->is_slice) {
        places->count = PySlice_AdjustIndices(memory->length, &places->start, &places->stop, places->step);
        return 0;
    }
    places->start += places->start < 0 ? memory->length : 0;
    if (places->start < 0 || places->start >= memory->length) {
        PyErr_Format(PyExc_IndexError, "there is no such byte: this memory has %zd", memory->length);
        return -1;
    }
    return 0;
}

static PyObject *memory_subscript(PyObject *self, PyObject *key) {
    struct memory *const memory = memory_of(self);
    struct places places;
    if (unpack(key, &places) < 0 || find(memory, &places, false) < 0) {
        return NULL;
    }
    const char *const from = (const char *)(uintptr_t)memory->address + places.start;
    if (!places.is_slice) {
        return PyLong_FromLong((unsigned char)*from);
    }
    if (places.step == 1) {
        return PyBytes_FromStringAndSize(from, places.count);
    }
    PyObject *const bytes = PyBytes_FromStringAndSize(NULL, places.count);
    char *const to = bytes == NULL ? NULL : PyBytes_AsString(bytes);
    for (Py_ssize_t i = 0; bytes != NULL && i < places.count; i++) {
        to[i] = from[i * places.step];
    }
    return bytes;
}

static int set_byte(struct memory *memory, struct places *places, PyObject *value) {
    const Py_ssize_t number = PyNumber_AsSsize_t(value, NULL);
    if (number == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (number < 0 || number > UCHAR_MAX) {
        PyErr_Format(PyExc_ValueError, "a byte is one of 0 to 255, and not %R", value);
        return -1;
    }
    if (find(memory, places, true) < 0) {
        return -1;
    }
    ((unsigned char *)(uintptr_t)memory->address)[places->start] = (unsigned char)number;
    return 0;
}

/* What comes may be a view of this very memory. */
static int copy_in(char *to, const struct places *places, const struct uipc_text *text) {
    if (places->step == 1) {
        memmove(to, text->begin, text->size);
        return 0;
    }
    char *const between = PyMem_Malloc(text->size);
    if (between == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    memcpy(between, text->begin, text->size);
    for (Py_ssize_t i = 0; i < places->count; i++) {
        to[i * places->step] = between[i];
    }
    PyMem_Free(between);
    return 0;
}

static int set_slice(struct memory *memory, struct places *places, PyObject *value) {
    struct uipc_text text;
    int result = -1;
    if (uipc_text_of(value, &text)) {
        if (find(memory, places, true) == 0) {
            if (text.size != (size_t)places->count) {
                PyErr_Format(PyExc_ValueError, "%zu bytes do not fit into a slice of %zd", text.size, places->count);
            } else {
                result =
                    text.size == 0 ? 0 : copy_in((char *)(uintptr_t)memory->address + places->start, places, &text);
            }
        }
        uipc_text_free(&text);
    }
    return result;
}

static int memory_ass_subscript(PyObject *self, PyObject *key, PyObject *value) {
    struct memory *const memory = memory_of(self);
    struct places places;
    if (value == NULL) {
        PyErr_SetString(PyExc_TypeError, "bytes of memory cannot be deleted");
        return -1;
    }
    if (unpack(key, &places) < 0) {
        return -1;
    }
    return places.is_slice ? set_slice(memory, &places, value) : set_byte(memory, &places, value);
}

/* -- making memory -- */

struct request {
    size_t length;
    int prot;
    int flags;
    int fd;
    int64_t offset;
};

static int map_at(const struct request *request, uint64_t place, int flags, uint64_t *address) {
    return uipc_mmap(place, request->length, request->prot, flags, request->fd, request->offset, address);
}

static int refuse_replacing(const struct memory *target, size_t length) {
    if (refuse_pinned(target, "replace") < 0 || refuse_guarded(target, "replace") < 0) {
        return -1;
    }
    if (pages(length) > pages((size_t)target->length)) {
        PyErr_Format(PyExc_ValueError, "%zu bytes do not fit in the place of %zd", length, target->length);
        return -1;
    }
    return 0;
}

/* The new memory lies over the beginning of the old; the rest of the old goes. */
static void take_the_place(struct memory *target, size_t length) {
    const size_t rest = pages((size_t)target->length) - pages(length);
    target->closed = true;
    if (rest > 0) {
        uipc_munmap(target->address + pages(length), rest);
    }
}

/* A refused replacement may have cost the old memory, or left it whole. */
static void look_after(struct memory *target) {
    const size_t size = pages((size_t)target->length);
    unsigned char *const residency = PyMem_Malloc(size / (size_t)uipc_page_size());
    if (residency == NULL || uipc_mincore(target->address, size, residency) < 0) {
        uipc_munmap(target->address, size);
        target->closed = true;
    }
    PyMem_Free(residency);
}

/* What can be refused must not cost the old memory: try it elsewhere first. */
static int map_over(const struct request *request, struct memory *target, uint64_t *address) {
    int result = map_at(request, 0, request->flags & ~(MAP_FIXED | MAP_FIXED_NOREPLACE | MAP_POPULATE), address);
    if (result < 0) {
        return result;
    }
    uipc_munmap(*address, request->length);
    result = map_at(request, target->address, (request->flags & ~MAP_FIXED_NOREPLACE) | MAP_FIXED, address);
    if (result < 0) {
        look_after(target);
        return result;
    }
    take_the_place(target, request->length);
    return 0;
}

PyDoc_STRVAR(mmap_doc, "mmap(cls, target, hint, length, prot, flags, fd, offset, /)\n--\n\nMap, at a hint or over the "
                       "memory `target` unless that is None. Returns the object, or -errno.");

static PyObject *map(PyObject *module, PyObject *args) {
    PyObject *cls;
    PyObject *target;
    unsigned long long hint;
    unsigned long long length;
    long long offset;
    unsigned int flags; /* the size of huge pages may take the bit that would be the sign */
    struct request request;
    if (!PyArg_ParseTuple(args, "OOKKiIiL:mmap", &cls, &target, &hint, &length, &request.prot, &flags, &request.fd,
                          &offset)) {
        return NULL;
    }
    request.flags = (int)flags;
    request.length = (size_t)length;
    request.offset = offset;
    struct memory *const memory = uipc_refuse_others(module, target) < 0 ? NULL : memory_new(module, cls, FROM_MMAP);
    if (memory == NULL) {
        return NULL;
    }
    if (target != Py_None && refuse_replacing(memory_of(target), request.length) < 0) {
        Py_DECREF((PyObject *)memory);
        return NULL;
    }
    int result;
    uint64_t address = 0;
    if (target != Py_None) {
        result = map_over(&request, memory_of(target), &address);
    } else {
        Py_BEGIN_ALLOW_THREADS;
        result = map_at(&request, hint, request.flags, &address);
        Py_END_ALLOW_THREADS;
    }
    if (result < 0) {
        return without_owner(memory, result);
    }
    const bool is_private = (request.flags & MAP_TYPE) == MAP_PRIVATE;
    memory->readable = request.prot & PROT_READ;
    memory->writable = request.prot & PROT_WRITE;
    memory->huge = request.flags & MAP_HUGETLB;
    memory->sure = (request.flags & MAP_ANONYMOUS) && is_private && !memory->huge;
    return owner_of(memory, address, request.length);
}

static int attach_over(int shmid, int flags, struct memory *target, uint64_t *address, size_t *size) {
    uint64_t elsewhere;
    int result = uipc_shmat(shmid, 0, flags & ~(SHM_REMAP | SHM_RND), &elsewhere, size);
    if (result < 0) {
        return result;
    }
    if (refuse_replacing(target, *size) < 0) {
        result = -EINVAL;
    } else if ((result = uipc_shmat(shmid, target->address, flags | SHM_REMAP, address, size)) < 0) {
        look_after(target);
    } else {
        take_the_place(target, *size);
    }
    uipc_shmdt(elsewhere);
    return result;
}

PyDoc_STRVAR(shmat_doc,
             "shmat(cls, target, shmid, hint, flags, /)\n--\n\nAttach, at a hint or over the memory `target` "
             "unless that is None. Returns the object, or -errno.");

static PyObject *attach(PyObject *module, PyObject *args) {
    PyObject *cls;
    PyObject *target;
    int shmid;
    unsigned long long hint;
    int flags;
    if (!PyArg_ParseTuple(args, "OOiKi:shmat", &cls, &target, &shmid, &hint, &flags) ||
        uipc_refuse_others(module, target) < 0 ||
        (target != Py_None && refuse_pinned(memory_of(target), "replace") < 0)) {
        return NULL;
    }
    struct memory *const memory = memory_new(module, cls, FROM_SHMAT);
    if (memory == NULL) {
        return NULL;
    }
    uint64_t address = 0;
    size_t size = 0;
    const int result = target != Py_None ? attach_over(shmid, flags, memory_of(target), &address, &size)
                                         : uipc_shmat(shmid, hint, flags, &address, &size);
    if (result < 0) {
        return without_owner(memory, result);
    }
    memory->readable = true;
    memory->writable = !(flags & SHM_RDONLY);
#ifdef MADV_COLD /* every page takes this advice, to no harm, but huge and locked ones */
    memory->huge = uipc_madvise(address, (size_t)uipc_page_size(), MADV_COLD) == -EINVAL;
#endif
    return owner_of(memory, address, size);
}

/* -- calls on memory -- */

/* Moving onto a fixed place unmaps what lies there: reserve the place first, which fails where it is taken. */
static int move_to(const struct memory *memory, size_t new_size, int flags, uint64_t place, uint64_t *moved) {
    const struct request nothing = {
        .length = new_size, .prot = PROT_NONE, .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, .fd = -1};
    uint64_t reserved;
    int result = map_at(&nothing, place, nothing.flags | MAP_FIXED_NOREPLACE, &reserved);
    if (result < 0) {
        return result;
    }
    result = uipc_mremap(memory->address, (size_t)memory->length, new_size, flags, reserved, moved);
    if (result < 0) {
        uipc_munmap(reserved, new_size);
    }
    return result;
}

PyDoc_STRVAR(mremap_doc, "mremap(cls, memory, new_size, flags, new_address, /)\n--\n\nResize or move; with "
                         "MREMAP_DONTUNMAP the moved pages get a new object. Returns the object, or -errno.");

static PyObject *remap(PyObject *module, PyObject *args) {
    PyObject *cls;
    PyObject *self;
    unsigned long long new_size;
    int flags;
    unsigned long long place;
    if (!PyArg_ParseTuple(args, "OOKiK:mremap", &cls, &self, &new_size, &flags, &place) ||
        uipc_refuse_others(module, self) < 0) {
        return NULL;
    }
    struct memory *const memory = memory_of(self);
    struct memory *const moved = memory_new(module, cls, FROM_MMAP);
    if (moved == NULL) {
        return NULL;
    }
    if (refuse_pinned(memory, "move") < 0 || refuse_guarded(memory, "move or resize") < 0) {
        Py_DECREF((PyObject *)moved);
        return NULL;
    }
    const struct memory before = *memory;
    uint64_t address = 0;
    const int result = flags & MREMAP_FIXED ? move_to(memory, (size_t)new_size, flags, place, &address)
                                            : uipc_mremap(memory->address, (size_t)memory->length, (size_t)new_size,
                                                          flags, place, &address);
    if (result < 0) {
        return without_owner(moved, result);
    }
#ifdef MREMAP_DONTUNMAP
    if (flags & MREMAP_DONTUNMAP) {
        moved->readable = before.readable;
        moved->writable = before.writable;
        moved->poisoned = before.poisoned;
        moved->sure = before.sure;
        moved->huge = before.huge;
        moved->forkless = before.forkless;
        return owner_of(moved, address, (size_t)new_size);
    }
#endif
    Py_DECREF((PyObject *)moved);
    memory->address = address;
    memory->length = (Py_ssize_t)new_size;
    Py_INCREF(self);
    return self;
}

static PyObject *memory_close(PyObject *self, PyObject *unused) {
    struct memory *const memory = memory_of(self);
    (void)unused;
    if (memory->closed) {
        refuse_closed(memory);
        return NULL;
    }
    memory->closed = true;
    return PyLong_FromLong(memory->pins == 0 ? give_back(memory) : 0);
}

static PyObject *memory_unmap(PyObject *self, PyObject *args) {
    struct memory *const memory = memory_of(self);
    PyObject *offset;
    PyObject *length;
    struct part part;
    if (!PyArg_ParseTuple(args, "OO:munmap", &offset, &length) || part_of(memory, offset, length, &part) < 0) {
        return NULL;
    }
    const size_t whole = pages((size_t)memory->length);
    const size_t stop = pages(part.stop);
    if (part.start == 0 && stop == whole) {
        return memory_close(self, NULL);
    }
    if (part.start > 0 && stop < whole) {
        PyErr_SetString(PyExc_ValueError, "a mapping can lose pages at its ends, not in its middle");
        return NULL;
    }
    if (refuse_pinned(memory, "unmap part of") < 0 || refuse_guarded(memory, "unmap part of") < 0) {
        return NULL;
    }
    const int result = uipc_munmap(memory->address + part.start, stop - part.start);
    if (result == 0 && part.start == 0) {
        memory->address += stop;
        memory->length -= (Py_ssize_t)stop;
    } else if (result == 0) {
        memory->length = (Py_ssize_t)part.start;
    }
    return PyLong_FromLong(result);
}

/* Part of the memory can lose an access; to gain it, all of it must: a view shows everything. */
static PyObject *memory_protect(PyObject *self, PyObject *args) {
    struct memory *const memory = memory_of(self);
    PyObject *offset;
    PyObject *length;
    int prot;
    struct part part;
    if (!PyArg_ParseTuple(args, "OOi:mprotect", &offset, &length, &prot) ||
        part_of(memory, offset, length, &part) < 0) {
        return NULL;
    }
    if (part.start == part.stop) {
        return PyLong_FromLong(0);
    }
    const bool whole = part.start == 0 && pages(part.stop) == pages((size_t)memory->length);
    const bool readable = (prot & PROT_READ) && (whole || memory->readable);
    const bool writable = (prot & PROT_WRITE) && (whole || memory->writable);
    const bool narrower = (memory->readable && !readable) || (memory->writable && !writable);
    if (narrower && refuse_pinned(memory, "take access from") < 0) {
        return NULL;
    }
    const int result = uipc_mprotect(memory->address + part.start, part.stop - part.start, prot);
    if (result == 0) {
        memory->readable = readable;
        memory->writable = writable;
    }
    return PyLong_FromLong(result);
}

/* The first and the last page become guards; what lies between them, up to this length, is the memory from now on. Made
 * so, and not of neighbours, no other thread can get between them, and a view that outlives close() is still guarded.
 */
static PyObject *memory_guard(PyObject *self, PyObject *length) {
    struct memory *const memory = memory_of(self);
    const size_t page = (size_t)uipc_page_size();
    const Py_ssize_t inner = PyNumber_AsSsize_t(length, PyExc_OverflowError);
    if (PyErr_Occurred() || refuse_pinned(memory, "guard") < 0 || refuse_guarded(memory, "guard") < 0) {
        return NULL;
    }
    if (memory->origin != FROM_MMAP || inner < 1 || pages((size_t)inner) + 2 * page != pages((size_t)memory->length)) {
        PyErr_Format(PyExc_ValueError, "%zd bytes do not fill what lies between the first and the last page", inner);
        return NULL;
    }
    int result = uipc_mprotect(memory->address, page, PROT_NONE);
    if (result == 0) {
        result = uipc_mprotect(memory->address + page + pages((size_t)inner), page, PROT_NONE);
    }
    if (result < 0) {
        memory->readable = false;
        memory->writable = false;
        return PyLong_FromLong(result);
    }
    memory->address += page;
    memory->length = inner;
    memory->guard = page;
    return PyLong_FromLong(0);
}

/* What an advice means for views. */
static void note_advice(struct memory *memory, int advice, bool whole) {
    switch (advice) {
    case MADV_DONTFORK:
        memory->forkless = getpid();
        break;
    case MADV_DOFORK:
        memory->forkless = whole ? 0 : memory->forkless;
        break;
    case MADV_HWPOISON:
        memory->poisoned = true;
        break;
#ifdef MADV_GUARD_INSTALL
    case MADV_GUARD_INSTALL:
        memory->poisoned = true;
        break;
    case MADV_GUARD_REMOVE:
        memory->poisoned = memory->poisoned && !whole;
        break;
#endif
    default:
        break;
    }
}

static bool is_fatal(int advice) {
#ifdef MADV_GUARD_INSTALL
    return advice == MADV_HWPOISON || advice == MADV_GUARD_INSTALL;
#else
    return advice == MADV_HWPOISON;
#endif
}

static PyObject *memory_advise(PyObject *self, PyObject *args) {
    struct memory *const memory = memory_of(self);
    PyObject *offset;
    PyObject *length;
    int advice;
    struct part part;
    if (!PyArg_ParseTuple(args, "OOi:madvise", &offset, &length, &advice) ||
        part_of(memory, offset, length, &part) < 0 || refuse_stack(memory, "advise on") < 0 ||
        ((is_fatal(advice) || (advice == MADV_DONTFORK && memory->lasting)) &&
         refuse_pinned(memory, "take access from") < 0)) {
        return NULL;
    }
    int result;
    const uint64_t address = memory->address + part.start;
    const bool whole = part.start == 0 && pages(part.stop) == pages((size_t)memory->length);
    const struct memory before = *memory;
    memory->backed = 0;
    const bool takes_away = is_fatal(advice) || advice == MADV_DONTFORK;
    if (takes_away) { /* no other thread may take a view, or fork, before this is known */
        note_advice(memory, advice, whole);
    }
    memory->pins++;
    Py_BEGIN_ALLOW_THREADS;
    result = uipc_madvise(address, part.stop - part.start, advice);
    Py_END_ALLOW_THREADS;
    if (takes_away && result < 0) {
        memory->poisoned = before.poisoned;
        memory->forkless = before.forkless;
    } else if (result == 0) {
        note_advice(memory, advice, whole);
    }
    unpin(memory);
    return PyLong_FromLong(result);
}

static PyObject *call_on_part(PyObject *self, PyObject *offset, PyObject *length, int argument,
                              int (*call)(uint64_t, size_t, int)) {
    struct memory *const memory = memory_of(self);
    struct part part;
    if (part_of(memory, offset, length, &part) < 0) {
        return NULL;
    }
    int result;
    const uint64_t address = memory->address + part.start;
    memory->pins++;
    Py_BEGIN_ALLOW_THREADS;
    result = call(address, part.stop - part.start, argument);
    Py_END_ALLOW_THREADS;
    unpin(memory);
    return PyLong_FromLong(result);
}

static PyObject *memory_sync(PyObject *self, PyObject *args) {
    PyObject *offset;
    PyObject *length;
    int flags;
    return PyArg_ParseTuple(args, "OOi:msync", &offset, &length, &flags)
               ? call_on_part(self, offset, length, flags, uipc_msync)
               : NULL;
}

static int lock_or_unlock(uint64_t address, size_t length, int lock) {
    return lock ? uipc_mlock(address, length) : uipc_munlock(address, length);
}

static PyObject *memory_lock2(PyObject *self, PyObject *args) {
    PyObject *offset;
    PyObject *length;
    int flags;
    return PyArg_ParseTuple(args, "OOi:mlock2", &offset, &length, &flags)
               ? call_on_part(self, offset, length, flags, uipc_mlock2)
               : NULL;
}

static PyObject *memory_lock(PyObject *self, PyObject *args) {
    PyObject *offset;
    PyObject *length;
    int lock;
    return PyArg_ParseTuple(args, "OOp:mlock", &offset, &length, &lock)
               ? call_on_part(self, offset, length, lock, lock_or_unlock)
               : NULL;
}

static PyObject *memory_residency(PyObject *self, PyObject *args) {
    struct memory *const memory = memory_of(self);
    PyObject *offset;
    PyObject *length;
    struct part part;
    if (!PyArg_ParseTuple(args, "OO:mincore", &offset, &length) || part_of(memory, offset, length, &part) < 0) {
        return NULL;
    }
    const size_t count = pages(part.stop - part.start) / (size_t)uipc_page_size();
    unsigned char *const bytes = PyMem_Malloc(count);
    if (bytes == NULL) {
        return PyErr_NoMemory();
    }
    const int result = uipc_mincore(memory->address + part.start, part.stop - part.start, bytes);
    PyObject *const answer =
        result < 0 ? PyLong_FromLong(result) : PyBytes_FromStringAndSize((const char *)bytes, (Py_ssize_t)count);
    PyMem_Free(bytes);
    return answer;
}

/* -- sigaltstack(2) -- */

/* The memory that this thread last put in place. */
static _Thread_local struct memory *stack_here;

/* That memory if the kernel still uses it: other code may have put its own in place. */
static struct memory *stack_at(const stack_t *stack) {
    return stack_here != NULL && stack_here->address == (uint64_t)(uintptr_t)stack->ss_sp ? stack_here : NULL;
}

static bool is_in_place(const struct memory *memory) {
    stack_t now;
    return memory->is_stack && sigaltstack(NULL, &now) == 0 && stack_at(&now) == memory;
}

/* Nothing may touch the memory while a handler runs on it: no other thread, no view, no process that shares it. What
 * other code put in place of it, it may also undo, and a thread may end with its stack in place: we let go only of what
 * the kernel let go of, and such memory is no stack for anybody again. */
static int refuse_as_stack(const struct memory *memory) {
    if (is_in_place(memory)) {
        return refuse_closed(memory);
    }
    if (refuse_pinned(memory, "run signal handlers on") < 0) {
        return -1;
    }
    if (!memory->sure || !memory->readable || !memory->writable || memory->poisoned || memory->forkless != 0) {
        PyErr_SetString(PyExc_ValueError, "signal handlers run on memory that is private, anonymous, of normal pages, "
                                          "readable, writable and inherited by children: MAP_PRIVATE | MAP_ANONYMOUS");
        return -1;
    }
    return 0;
}

static void start_as_stack(struct memory *memory) {
    Py_INCREF((PyObject *)memory);
    memory->pins++;
    memory->is_stack = true;
}

static void stop_as_stack(struct memory *memory) {
    memory->is_stack = false;
    unpin(memory);
    Py_DECREF((PyObject *)memory);
}

PyDoc_STRVAR(sigaltstack_doc, "sigaltstack([memory, address, size, flags], /)\n--\n\nPut `memory`, or where that is "
                              "None the stack at `address`, in place for this thread. Returns the stack before as such "
                              "a tuple, or -errno.");

static PyObject *alternate_stack(PyObject *module, PyObject *args) {
    PyObject *owner = Py_None;
    unsigned long long address = 0;
    unsigned long long size = 0;
    unsigned int flags = 0;
    if (!PyArg_ParseTuple(args, "|OKKI:sigaltstack", &owner, &address, &size, &flags)) {
        return NULL;
    }
    if (uipc_refuse_others(module, owner) < 0) {
        return NULL;
    }
    const bool changes = PyTuple_Size(args) > 0;
    struct memory *const memory = owner == Py_None ? NULL : memory_of(owner);
    if (memory != NULL && refuse_as_stack(memory) < 0) {
        return NULL;
    }
    if (memory != NULL && memory->length < uipc_sigstksz()) {
        return PyLong_FromLong(-ENOMEM);
    }
    const stack_t next = {
        .ss_sp = (void *)(uintptr_t)(memory != NULL ? memory->address : address),
        .ss_size = memory != NULL ? (size_t)memory->length : (size_t)size,
        .ss_flags = (int)flags,
    };
    stack_t old;
    const bool is_new = memory != NULL && !memory->is_stack;
    if (is_new) {
        start_as_stack(memory);
    }
    const int result = uipc_result(sigaltstack(changes ? &next : NULL, &old));
    if (result < 0) {
        if (is_new) {
            stop_as_stack(memory);
        }
        return PyLong_FromLong(result);
    }
    struct memory *const before = stack_at(&old);
    PyObject *const answer =
        Py_BuildValue("OKKI", before == NULL ? Py_None : (PyObject *)before, (unsigned long long)(uintptr_t)old.ss_sp,
                      (unsigned long long)old.ss_size, (unsigned int)old.ss_flags);
    if (changes && before != memory) {
        stack_here = memory == NULL && before == NULL ? stack_here : memory;
        if (before != NULL) {
            stop_as_stack(before);
        }
    }
    return answer;
}

/* -- the type -- */

static const char *access_of(const struct memory *memory) {
    if (!memory->readable || memory->poisoned) {
        return ", inaccessible";
    }
    return memory->writable ? "" : ", read-only";
}

static PyObject *memory_repr(PyObject *self) {
    const struct memory *const memory = memory_of(self);
    PyObject *const name = PyObject_GetAttrString((PyObject *)Py_TYPE(self), "__name__");
    PyObject *text = NULL;
    if (name != NULL && memory->closed) {
        text = PyUnicode_FromFormat("<%U closed>", name);
    } else if (name != NULL) {
        text = PyUnicode_FromFormat("<%U %zd bytes at %p%s>", name, memory->length, (void *)(uintptr_t)memory->address,
                                    access_of(memory));
    }
    Py_XDECREF(name);
    return text;
}

static PyObject *memory_address(PyObject *self, void *closure) {
    (void)closure;
    return PyLong_FromUnsignedLongLong(memory_of(self)->address);
}

static PyObject *memory_closed(PyObject *self, void *closure) {
    (void)closure;
    return PyBool_FromLong(memory_of(self)->closed);
}

static PyObject *memory_readable(PyObject *self, void *closure) {
    (void)closure;
    return PyBool_FromLong(memory_of(self)->readable && !memory_of(self)->poisoned);
}

static PyObject *memory_readonly(PyObject *self, void *closure) {
    (void)closure;
    return PyBool_FromLong(!memory_of(self)->writable);
}

static void memory_finalize(PyObject *self) {
    PyObject *type;
    PyObject *value;
    PyObject *traceback;
    if (memory_of(self)->closed || is_absent(memory_of(self))) {
        return;
    }
    PyErr_Fetch(&type, &value, &traceback);
    if (PyErr_ResourceWarning(self, 1, "unclosed %R", self) < 0) {
        PyErr_WriteUnraisable(self);
    }
    PyErr_Restore(type, value, traceback);
}

static void memory_dealloc(PyObject *self) {
    if (!memory_of(self)->closed) {
        give_back(memory_of(self));
    }
    uipc_free_object(self);
}

static PyGetSetDef memory_attributes[] = {
    {"address", memory_address, NULL, "Where the memory begins in this process.", NULL},
    {"closed", memory_closed, NULL, "Whether it was unmapped or detached; views may still hold it.", NULL},
    {"readable", memory_readable, NULL, "Whether there can be views of it: mprotect() may forbid that.", NULL},
    {"readonly", memory_readonly, NULL, "Whether a view of it is read-only.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef memory_methods[] = {
    {"_close", memory_close, METH_NOARGS, NULL},
    {"_unmap", memory_unmap, METH_VARARGS, NULL},
    {"_protect", memory_protect, METH_VARARGS, NULL},
    {"_advise", memory_advise, METH_VARARGS, NULL},
    {"_sync", memory_sync, METH_VARARGS, NULL},
    {"_lock", memory_lock, METH_VARARGS, NULL},
    {"_lock2", memory_lock2, METH_VARARGS, NULL},
    {"_residency", memory_residency, METH_VARARGS, NULL},
    {"_pin", memory_pin, METH_NOARGS, NULL},
    {"_guard", memory_guard, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot memory_slots[] = {
    {Py_tp_doc, "Memory of the kernel's that exports its bytes as a buffer, and stays as long as a view shows it."},
    {Py_tp_repr, memory_repr},
    {Py_tp_finalize, memory_finalize},
    {Py_tp_dealloc, memory_dealloc},
    {Py_tp_getset, memory_attributes},
    {Py_tp_methods, memory_methods},
    {Py_sq_length, memory_length},
    {Py_mp_subscript, memory_subscript},
    {Py_mp_ass_subscript, memory_ass_subscript},
    {Py_bf_getbuffer, memory_getbuffer},
    {Py_bf_releasebuffer, memory_releasebuffer},
    {0, NULL},
};

static PyType_Spec memory_spec = {
    .name = "unixipc._cpython.Memory",
    .basicsize = sizeof(struct memory),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = memory_slots,
};

/* -- what shows memory that it does not own for all its life; Python 3.12 on would have __buffer__ for it -- */

static int exporter_getbuffer(PyObject *self, Py_buffer *view, int flags) {
    PyObject *const exported = PyObject_GetAttrString(self, "_exported");
    int result = -1;
    view->obj = NULL;
    if (exported != NULL && Py_EnterRecursiveCall(" while asking for a buffer") == 0) {
        result = PyObject_GetBuffer(exported, view, flags);
        Py_LeaveRecursiveCall();
    }
    Py_XDECREF(exported);
    return result;
}

static PyType_Slot exporter_slots[] = {
    {Py_tp_doc, "A base for classes whose buffer is that of their `_exported`, which the view then pins."},
    {Py_bf_getbuffer, exporter_getbuffer},
    {0, NULL},
};

static PyType_Spec exporter_spec = {
    .name = "unixipc._cpython.Exporter",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = exporter_slots,
};

static PyMethodDef functions[] = {
    {"mmap", map, METH_VARARGS, mmap_doc},
    {"shmat", attach, METH_VARARGS, shmat_doc},
    {"mremap", remap, METH_VARARGS, mremap_doc},
    {"sigaltstack", alternate_stack, METH_VARARGS, sigaltstack_doc},
    {NULL, NULL, 0, NULL},
};

int uipc_add_memory(PyObject *module) {
    PyObject *const memory = PyType_FromModuleAndSpec(module, &memory_spec, NULL);
    uipc_module(module)->memory = memory;
    if (memory == NULL || PyModule_AddObjectRef(module, "Memory", memory) < 0) {
        return -1;
    }
    PyObject *const exporter = PyType_FromModuleAndSpec(module, &exporter_spec, NULL);
    const int added = exporter == NULL ? -1 : PyModule_AddObjectRef(module, "Exporter", exporter);
    Py_XDECREF(exporter);
    return added < 0 ? -1 : PyModule_AddFunctions(module, functions);
}
