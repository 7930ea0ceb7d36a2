/* Semaphores of sem_overview(7) as objects: one that is waited for, or whose memory is in use, does not go away.
 *
 * A named one is mapped by the C library, once for the process and counted; an unnamed one lies in memory of ours,
 * which it pins as a view does. */
#include "cpython.h"

struct semaphore {
    PyObject head;
    uint64_t address;
    Py_buffer memory; /* of an unnamed one; obj is NULL in a named one */
    Py_ssize_t uses;  /* calls without the GIL that are under way */
    bool closed;      /* by sem_close() or sem_destroy(); what it holds goes with the last use */
};

static struct semaphore *semaphore_of(PyObject *object) { return (struct semaphore *)(void *)object; }

static bool is_named(const struct semaphore *semaphore) { return semaphore->memory.obj == NULL; }

/* -- life -- */

static int give_back(struct semaphore *semaphore) {
    if (is_named(semaphore)) {
        return uipc_sem_close(semaphore->address);
    }
    PyBuffer_Release(&semaphore->memory);
    return 0;
}

static int refuse_closed(const struct semaphore *semaphore) {
    if (semaphore->closed) {
        PyErr_SetString(PyExc_ValueError, "this semaphore is closed");
        return -1;
    }
    return is_named(semaphore) ? 0 : uipc_refuse_absent(semaphore->memory.obj);
}

bool uipc_is_open_semaphore(PyObject *module, PyObject *object, uint64_t *address) {
    PyTypeObject *const type = (PyTypeObject *)(void *)uipc_module(module)->semaphore;
    if (object == NULL || !PyObject_TypeCheck(object, type) || semaphore_of(object)->closed) {
        return false;
    }
    if (!is_named(semaphore_of(object)) && uipc_refuse_absent(semaphore_of(object)->memory.obj) < 0) {
        PyErr_Clear(); /* the twin says it */
        return false;
    }
    *address = semaphore_of(object)->address;
    return true;
}

static PyObject *close_it(struct semaphore *semaphore) {
    semaphore->closed = true;
    return PyLong_FromLong(semaphore->uses == 0 ? give_back(semaphore) : 0);
}

/* An object that owns nothing yet: what a system call gives next can then not be without an owner. */
static struct semaphore *semaphore_new(PyObject *module, PyObject *cls) {
    if (PyObject_IsSubclass(cls, uipc_module(module)->semaphore) != 1) {
        PyErr_SetString(PyExc_TypeError, "a subclass of Semaphore is needed");
        return NULL;
    }
    PyObject *const self = PyType_GenericAlloc((PyTypeObject *)cls, 0);
    if (self != NULL) {
        semaphore_of(self)->closed = true;
    }
    return (struct semaphore *)(void *)self;
}

PyDoc_STRVAR(sem_open_doc, "sem_open(cls, name, oflag, mode, value, /)\n--\n\nReturns the semaphore, or -errno.");

static PyObject *open_named(PyObject *module, PyObject *args) {
    PyObject *cls;
    const char *name;
    int oflag;
    unsigned int mode;
    unsigned int value;
    if (!PyArg_ParseTuple(args, "OyiII:sem_open", &cls, &name, &oflag, &mode, &value)) {
        return NULL;
    }
    struct semaphore *const semaphore = semaphore_new(module, cls);
    if (semaphore == NULL) {
        return NULL;
    }
    const int result = uipc_sem_open(name, oflag, mode, value, &semaphore->address);
    if (result < 0) {
        Py_DECREF((PyObject *)semaphore);
        return PyLong_FromLong(result);
    }
    semaphore->closed = false;
    return (PyObject *)semaphore;
}

static int place_in(const Py_buffer *memory, Py_ssize_t offset, uint64_t *address) {
    const int64_t size = uipc_sem_size();
    if (offset < 0 || memory->len < size || offset > memory->len - size) {
        PyErr_Format(PyExc_ValueError, "a semaphore has %lld bytes, which %zd bytes of memory do not have from %zd on",
                     (long long)size, memory->len, offset);
        return -1;
    }
    *address = (uint64_t)(uintptr_t)memory->buf + (uint64_t)offset;
    if (*address % (uint64_t)uipc_sem_alignment() != 0) {
        PyErr_Format(PyExc_ValueError, "a semaphore's offset must be a multiple of %lld, which %zd is not",
                     (long long)uipc_sem_alignment(), offset);
        return -1;
    }
    return 0;
}

PyDoc_STRVAR(sem_at_doc, "sem_at(cls, memory, offset, /)\n--\n\nReturns the semaphore that lies there, if one does.");

static PyObject *unnamed_at(PyObject *module, PyObject *args) {
    PyObject *cls;
    PyObject *owner;
    Py_ssize_t offset;
    if (!PyArg_ParseTuple(args, "OOn:Sem", &cls, &owner, &offset) || uipc_refuse_others(module, owner) < 0) {
        return NULL;
    }
    struct semaphore *const semaphore = semaphore_new(module, cls);
    if (semaphore == NULL) {
        return NULL;
    }
    if (PyObject_GetBuffer(owner, &semaphore->memory, PyBUF_WRITABLE) == 0) {
        semaphore->closed = false; /* it has something to give back */
        if (place_in(&semaphore->memory, offset, &semaphore->address) == 0) {
            return (PyObject *)semaphore;
        }
    }
    Py_DECREF((PyObject *)semaphore);
    return NULL;
}

static PyObject *semaphore_close(PyObject *self, PyObject *unused) {
    struct semaphore *const semaphore = semaphore_of(self);
    (void)unused;
    if (refuse_closed(semaphore) < 0) {
        return NULL;
    }
    if (!is_named(semaphore)) {
        PyErr_SetString(PyExc_ValueError, "this semaphore has no name: sem_destroy() is for it");
        return NULL;
    }
    return close_it(semaphore);
}

static PyObject *semaphore_destroy(PyObject *self, PyObject *unused) {
    struct semaphore *const semaphore = semaphore_of(self);
    (void)unused;
    if (refuse_closed(semaphore) < 0) {
        return NULL;
    }
    if (is_named(semaphore)) {
        PyErr_SetString(PyExc_ValueError, "this semaphore has a name: sem_close() and sem_unlink() are for it");
        return NULL;
    }
    if (semaphore->uses > 0) {
        return PyLong_FromLong(-EBUSY);
    }
    const int result = uipc_sem_destroy(semaphore->address);
    return result < 0 ? PyLong_FromLong(result) : close_it(semaphore);
}

/* -- calls -- */

static PyObject *semaphore_init(PyObject *self, PyObject *args) {
    struct semaphore *const semaphore = semaphore_of(self);
    int pshared;
    unsigned int value;
    if (!PyArg_ParseTuple(args, "iI:sem_init", &pshared, &value) || refuse_closed(semaphore) < 0) {
        return NULL;
    }
    if (is_named(semaphore)) {
        PyErr_SetString(PyExc_ValueError, "this semaphore has a name, and was made by sem_open()");
        return NULL;
    }
    return PyLong_FromLong(uipc_sem_init(semaphore->address, pshared, value));
}

static PyObject *semaphore_trywait(PyObject *self, PyObject *unused) {
    (void)unused;
    return refuse_closed(semaphore_of(self)) < 0 ? NULL
                                                 : PyLong_FromLong(uipc_sem_trywait(semaphore_of(self)->address));
}

static PyObject *semaphore_post(PyObject *self, PyObject *unused) {
    (void)unused;
    return refuse_closed(semaphore_of(self)) < 0 ? NULL : PyLong_FromLong(uipc_sem_post(semaphore_of(self)->address));
}

static PyObject *semaphore_getvalue(PyObject *self, PyObject *unused) {
    (void)unused;
    int value = 0;
    if (refuse_closed(semaphore_of(self)) < 0) {
        return NULL;
    }
    const int result = uipc_sem_getvalue(semaphore_of(self)->address, &value);
    return Py_BuildValue("ii", result, value);
}

static void end_use(struct semaphore *semaphore) {
    semaphore->uses--;
    if (semaphore->closed && semaphore->uses == 0) {
        give_back(semaphore);
    }
}

int uipc_wait_for_semaphore(PyObject *object) {
    struct semaphore *const semaphore = semaphore_of(object);
    int result;
    semaphore->uses++;
    Py_BEGIN_ALLOW_THREADS;
    result = uipc_sem_wait(semaphore->address);
    Py_END_ALLOW_THREADS;
    end_use(semaphore);
    return result;
}

static PyObject *semaphore_wait(PyObject *self, PyObject *unused) {
    (void)unused;
    return refuse_closed(semaphore_of(self)) < 0 ? NULL : PyLong_FromLong(uipc_wait_for_semaphore(self));
}

static PyObject *semaphore_timedwait(PyObject *self, PyObject *args) {
    struct semaphore *const semaphore = semaphore_of(self);
    long long seconds;
    long long nanoseconds;
    int clockid = 0;
    if (!PyArg_ParseTuple(args, "LL|i:sem_timedwait", &seconds, &nanoseconds, &clockid) ||
        refuse_closed(semaphore) < 0) {
        return NULL;
    }
    const bool by_clock = PyTuple_Size(args) == 3;
    int result;
    semaphore->uses++;
    Py_BEGIN_ALLOW_THREADS;
    result = by_clock ? uipc_sem_clockwait(semaphore->address, clockid, seconds, nanoseconds)
                      : uipc_sem_timedwait(semaphore->address, seconds, nanoseconds);
    Py_END_ALLOW_THREADS;
    end_use(semaphore);
    return PyLong_FromLong(result);
}

/* -- the type -- */

static PyObject *semaphore_repr(PyObject *self) {
    const struct semaphore *const semaphore = semaphore_of(self);
    PyObject *const name = PyObject_GetAttrString((PyObject *)Py_TYPE(self), "__name__");
    PyObject *text = NULL;
    if (name != NULL && semaphore->closed) {
        text = PyUnicode_FromFormat("<%U closed>", name);
    } else if (name != NULL) {
        text = PyUnicode_FromFormat("<%U at %p>", name, (void *)(uintptr_t)semaphore->address);
    }
    Py_XDECREF(name);
    return text;
}

static PyObject *semaphore_closed(PyObject *self, void *closure) {
    (void)closure;
    return PyBool_FromLong(semaphore_of(self)->closed);
}

static PyObject *semaphore_address(PyObject *self, void *closure) {
    (void)closure;
    return PyLong_FromUnsignedLongLong(semaphore_of(self)->address);
}

/* Dropping an unnamed one is the end of a cast; a named one stays mapped until sem_close(). */
static void semaphore_finalize(PyObject *self) {
    PyObject *type;
    PyObject *value;
    PyObject *traceback;
    if (semaphore_of(self)->closed || !is_named(semaphore_of(self))) {
        return;
    }
    PyErr_Fetch(&type, &value, &traceback);
    if (PyErr_ResourceWarning(self, 1, "unclosed %R", self) < 0) {
        PyErr_WriteUnraisable(self);
    }
    PyErr_Restore(type, value, traceback);
}

static void semaphore_dealloc(PyObject *self) {
    if (!semaphore_of(self)->closed) {
        give_back(semaphore_of(self));
    }
    uipc_free_object(self);
}

static PyGetSetDef semaphore_attributes[] = {
    {"address", semaphore_address, NULL, "Where it lies in this process.", NULL},
    {"closed", semaphore_closed, NULL, "Whether it was closed or destroyed.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef semaphore_methods[] = {
    {"_close", semaphore_close, METH_NOARGS, NULL},
    {"_destroy", semaphore_destroy, METH_NOARGS, NULL},
    {"_init", semaphore_init, METH_VARARGS, NULL},
    {"_trywait", semaphore_trywait, METH_NOARGS, NULL},
    {"_wait", semaphore_wait, METH_NOARGS, NULL},
    {"_timedwait", semaphore_timedwait, METH_VARARGS, NULL},
    {"_post", semaphore_post, METH_NOARGS, NULL},
    {"_getvalue", semaphore_getvalue, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot semaphore_slots[] = {
    {Py_tp_doc, "A semaphore of the C library's, which stays as long as a call uses it."},
    {Py_tp_repr, semaphore_repr},
    {Py_tp_finalize, semaphore_finalize},
    {Py_tp_dealloc, semaphore_dealloc},
    {Py_tp_getset, semaphore_attributes},
    {Py_tp_methods, semaphore_methods},
    {0, NULL},
};

static PyType_Spec semaphore_spec = {
    .name = "unixipc._cpython.Semaphore",
    .basicsize = sizeof(struct semaphore),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = semaphore_slots,
};

static PyMethodDef functions[] = {
    {"sem_open", open_named, METH_VARARGS, sem_open_doc},
    {"sem_at", unnamed_at, METH_VARARGS, sem_at_doc},
    {NULL, NULL, 0, NULL},
};

int uipc_add_semaphore(PyObject *module) {
    PyObject *const semaphore = PyType_FromModuleAndSpec(module, &semaphore_spec, NULL);
    uipc_module(module)->semaphore = semaphore;
    if (semaphore == NULL || PyModule_AddObjectRef(module, "Semaphore", semaphore) < 0) {
        return -1;
    }
    return PyModule_AddFunctions(module, functions);
}
