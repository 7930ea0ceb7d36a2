/* Memory of mmap(2) and shmat(2) that exports its bytes as a buffer: a view pins it, and no view can crash. */
#include "cpython.h"

#include "internal.h"

#include <sys/mman.h>
#include <unistd.h>

enum origin { FROM_MMAP, FROM_SHMAT };

struct memory {
    PyObject head;
    uint64_t address;
    Py_ssize_t length;
    Py_ssize_t pins; /* views and calls that use the memory now */
    enum origin origin;
    bool readable;
    bool writable;
    bool poisoned;  /* touching it is fatal whatever mprotect() says */
    bool sure;      /* private anonymous memory of normal pages: each can be had at any time */
    bool huge;      /* of huge pages, or locked: what is not there yet may never be */
    bool closed;    /* by munmap() or shmdt(); the memory itself goes with the last pin */
    pid_t forkless; /* MADV_DONTFORK: the only process that has the memory; 0 without it */
};

static struct memory *memory_of(PyObject *object) { return (struct memory *)(void *)object; }

static bool is_absent(const struct memory *memory) { return memory->forkless != 0 && memory->forkless != getpid(); }

static int give_back(struct memory *memory) {
    if (is_absent(memory)) {
        return 0;
    }
    return memory->origin == FROM_MMAP ? uipc_munmap(memory->address, (size_t)memory->length)
                                       : uipc_shmdt(memory->address);
}

static int refuse_closed(const struct memory *memory) {
    if (memory->closed) {
        PyErr_Format(PyExc_ValueError, "this %s is closed", memory->origin == FROM_MMAP ? "mapping" : "attachment");
        return -1;
    }
    if (is_absent(memory)) {
        PyErr_SetString(PyExc_ValueError, "this mapping did not come along in fork(): its parent set MADV_DONTFORK");
        return -1;
    }
    return 0;
}

static int refuse_pinned(const struct memory *memory, const char *what) {
    if (refuse_closed(memory) < 0) {
        return -1;
    }
    if (memory->pins > 0) {
        PyErr_Format(PyExc_BufferError, "cannot %s memory that %zd view(s) still show: release them first", what,
                     memory->pins);
        return -1;
    }
    return 0;
}

/* Whether the kernel can give us the pages, or would raise SIGBUS: behind the end of a file that is too short or became
 * so, and where no huge page is left. Kernels before 5.14 cannot tell. */
static int refuse_unbacked(const struct memory *memory) {
#ifdef MADV_POPULATE_READ
    const uint64_t page = (uint64_t)uipc_page_size();
    const uint64_t size = ((uint64_t)memory->length + page - 1) / page * page;
    const uint64_t part = memory->huge ? size : page;
    const int result = memory->sure ? 0 : uipc_madvise(memory->address + size - part, part, MADV_POPULATE_READ);
    if (result < 0 && result != -EINVAL) {
        PyErr_SetString(PyExc_BufferError,
                        "part of this memory has no pages: it lies behind the end of its file, or no "
                        "huge page is left");
        return -1;
    }
#else
    (void)memory;
#endif
    return 0;
}

static void unpin(struct memory *memory) {
    memory->pins--;
    if (memory->closed && memory->pins == 0) {
        give_back(memory);
    }
}

static int memory_getbuffer(PyObject *self, Py_buffer *view, int flags) {
    struct memory *const memory = memory_of(self);
    view->obj = NULL;
    if (refuse_closed(memory) < 0) {
        return -1;
    }
    if (!memory->readable || memory->poisoned) {
        PyErr_SetString(PyExc_BufferError, "this memory, or part of it, cannot be read: mprotect() all of it first");
        return -1;
    }
    if (refuse_unbacked(memory) < 0) {
        return -1;
    }
    void *const start = (void *)(uintptr_t)memory->address;
    if (PyBuffer_FillInfo(view, self, start, memory->length, !memory->writable, flags) < 0) {
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

static PyObject *memory_inherit(PyObject *self, PyObject *other) {
    struct memory *const memory = memory_of(self);
    const struct memory *const from = memory_of(other);
    memory->readable = from->readable;
    memory->writable = from->writable;
    memory->poisoned = from->poisoned;
    memory->sure = from->sure;
    memory->huge = from->huge;
    memory->forkless = from->forkless;
    Py_RETURN_NONE;
}

static PyObject *memory_readable(PyObject *self, void *closure) {
    (void)closure;
    return PyBool_FromLong(memory_of(self)->readable && !memory_of(self)->poisoned);
}

static PyObject *memory_readonly(PyObject *self, void *closure) {
    (void)closure;
    return PyBool_FromLong(!memory_of(self)->writable);
}

/* The calls below keep the lock of the interpreter: nobody can take a view of memory that is on its way out. */

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

static PyObject *memory_pin(PyObject *self, PyObject *unused) {
    (void)unused;
    if (refuse_closed(memory_of(self)) < 0) {
        return NULL;
    }
    memory_of(self)->pins++;
    Py_RETURN_NONE;
}

static PyObject *memory_unpin(PyObject *self, PyObject *unused) {
    (void)unused;
    unpin(memory_of(self));
    Py_RETURN_NONE;
}

static PyObject *memory_surrender(PyObject *self, PyObject *unused) {
    (void)unused;
    if (refuse_pinned(memory_of(self), "replace") < 0) {
        return NULL;
    }
    memory_of(self)->closed = true;
    Py_RETURN_NONE;
}

static PyObject *memory_trim(PyObject *self, PyObject *args) {
    struct memory *const memory = memory_of(self);
    Py_ssize_t start;
    Py_ssize_t stop;
    if (!PyArg_ParseTuple(args, "nn:trim", &start, &stop) || refuse_pinned(memory, "unmap part of") < 0) {
        return NULL;
    }
    const int result = uipc_munmap(memory->address + (uint64_t)start, (size_t)(stop - start));
    if (result == 0 && start == 0) {
        memory->address += (uint64_t)stop;
        memory->length -= stop;
    } else if (result == 0) {
        memory->length = start;
    }
    return PyLong_FromLong(result);
}

static PyObject *memory_remap(PyObject *self, PyObject *args) {
    struct memory *const memory = memory_of(self);
    Py_ssize_t new_size;
    int flags;
    unsigned long long new_address;
    uint64_t moved;
    if (!PyArg_ParseTuple(args, "niK:remap", &new_size, &flags, &new_address) || refuse_pinned(memory, "move") < 0) {
        return NULL;
    }
    const int result =
        uipc_mremap(memory->address, (size_t)memory->length, (size_t)new_size, flags, new_address, &moved);
    if (result == 0) {
        memory->address = moved;
        memory->length = new_size;
    }
    return PyLong_FromLong(result);
}

/* Part of the memory can lose an access; to gain it, all of it must: a view shows everything. */
static PyObject *memory_protect(PyObject *self, PyObject *args) {
    struct memory *const memory = memory_of(self);
    Py_ssize_t start;
    Py_ssize_t stop;
    int prot;
    if (!PyArg_ParseTuple(args, "nni:protect", &start, &stop, &prot) || refuse_closed(memory) < 0) {
        return NULL;
    }
    const bool whole = start == 0 && stop == memory->length;
    const bool readable = (prot & PROT_READ) && (whole || memory->readable);
    const bool writable = (prot & PROT_WRITE) && (whole || memory->writable);
    if ((memory->readable && !readable) || (memory->writable && !writable)) {
        if (refuse_pinned(memory, "take access from") < 0) {
            return NULL;
        }
    }
    const int result = uipc_mprotect(memory->address + (uint64_t)start, (size_t)(stop - start), prot);
    if (result == 0) {
        memory->readable = readable;
        memory->writable = writable;
    }
    return PyLong_FromLong(result);
}

static PyObject *memory_refuse_views(PyObject *self, PyObject *unused) {
    (void)unused;
    if (refuse_pinned(memory_of(self), "take access from") < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *memory_poison(PyObject *self, PyObject *yes) {
    memory_of(self)->poisoned = PyObject_IsTrue(yes) == 1;
    Py_RETURN_NONE;
}

static PyObject *memory_keep_from_fork(PyObject *self, PyObject *yes) {
    memory_of(self)->forkless = PyObject_IsTrue(yes) == 1 ? getpid() : 0;
    Py_RETURN_NONE;
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
    {"_pin", memory_pin, METH_NOARGS, NULL},
    {"_unpin", memory_unpin, METH_NOARGS, NULL},
    {"_surrender", memory_surrender, METH_NOARGS, NULL},
    {"_trim", memory_trim, METH_VARARGS, NULL},
    {"_remap", memory_remap, METH_VARARGS, NULL},
    {"_protect", memory_protect, METH_VARARGS, NULL},
    {"_inherit", memory_inherit, METH_O, NULL},
    {"_refuse_views", memory_refuse_views, METH_NOARGS, NULL},
    {"_poison", memory_poison, METH_O, NULL},
    {"_keep_from_fork", memory_keep_from_fork, METH_O, NULL},
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

PyDoc_STRVAR(adopt_doc, "adopt(cls, from_shmat, address, length, readable, writable, sure, huge, /)\n--\n\nMake the "
                        "object of a subclass of Memory that owns what mmap() or shmat() returned.");

static PyObject *adopt(PyObject *module, PyObject *args) {
    PyObject *cls;
    int from_shmat;
    unsigned long long address;
    Py_ssize_t length;
    int readable;
    int writable;
    int sure;
    int huge;
    if (!PyArg_ParseTuple(args, "OpKnpppp:adopt", &cls, &from_shmat, &address, &length, &readable, &writable, &sure,
                          &huge)) {
        return NULL;
    }
    if (PyObject_IsSubclass(cls, uipc_module(module)->memory) != 1) {
        PyErr_SetString(PyExc_TypeError, "adopt() makes objects of subclasses of Memory");
        return NULL;
    }
    PyObject *const self = PyType_GenericAlloc((PyTypeObject *)cls, 0);
    if (self != NULL) {
        memory_of(self)->address = address;
        memory_of(self)->length = length;
        memory_of(self)->origin = from_shmat ? FROM_SHMAT : FROM_MMAP;
        memory_of(self)->readable = readable;
        memory_of(self)->writable = writable;
        memory_of(self)->sure = sure;
        memory_of(self)->huge = huge;
    }
    return self;
}

static PyMethodDef functions[] = {
    {"adopt", adopt, METH_VARARGS, adopt_doc},
    {NULL, NULL, 0, NULL},
};

int uipc_add_memory(PyObject *module) {
    PyObject *const memory = PyType_FromModuleAndSpec(module, &memory_spec, NULL);
    uipc_module(module)->memory = memory;
    if (memory == NULL || PyModule_AddObjectRef(module, "Memory", memory) < 0) {
        return -1;
    }
    return PyModule_AddFunctions(module, functions);
}
