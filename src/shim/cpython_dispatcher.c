/* The dispatcher of Python signal handlers, and the siginfo_t that they get. */
#include "cpython.h"

#include "internal.h"

#include <string.h>

/* -- siginfo_t as an object, which costs a handler no call of Python code -- */

struct raw_siginfo {
    PyObject head;
    siginfo_t info;
};

static struct raw_siginfo *raw_siginfo_of(PyObject *object) { return (struct raw_siginfo *)(void *)object; }

static PyObject *raw_siginfo_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    static char *names[] = {"raw", NULL};
    Py_buffer raw;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "y*:Siginfo", names, &raw)) {
        return NULL;
    }
    PyObject *self = NULL;
    if (raw.len != sizeof(siginfo_t)) {
        PyErr_Format(PyExc_ValueError, "a siginfo_t is %zu bytes, not %zd", sizeof(siginfo_t), raw.len);
    } else if ((self = PyType_GenericAlloc(type, 0)) != NULL) {
        memcpy(&raw_siginfo_of(self)->info, raw.buf, sizeof(siginfo_t));
    }
    PyBuffer_Release(&raw);
    return self;
}

static PyObject *raw_siginfo_raw(PyObject *self, void *closure) {
    (void)closure;
    return PyBytes_FromStringAndSize((const char *)&raw_siginfo_of(self)->info, sizeof(siginfo_t));
}

static PyGetSetDef raw_siginfo_attributes[] = {
    {"raw", raw_siginfo_raw, NULL, "The 128 bytes as the kernel wrote them.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot raw_siginfo_slots[] = {
    {Py_tp_doc, "The bytes of a siginfo_t."},
    {Py_tp_new, raw_siginfo_new},
    {Py_tp_dealloc, uipc_free_object},
    {Py_tp_getset, raw_siginfo_attributes},
    {0, NULL},
};

static PyType_Spec raw_siginfo_spec = {
    .name = "unixipc._cpython.RawSiginfo",
    .basicsize = sizeof(struct raw_siginfo),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = raw_siginfo_slots,
};

/* -- the dispatcher -- */

static PyObject *siginfo_object(PyObject *module, const struct uipc_record *record) {
    PyObject *const self = PyType_GenericAlloc((PyTypeObject *)uipc_module(module)->siginfo, 0);
    if (self != NULL) {
        raw_siginfo_of(self)->info = record->info;
    }
    return self;
}

/* Call the handler of `number`, with `info` where it asked for one. Without a handler there is nothing to do. */
static int call_handler(PyObject *module, PyObject *number, PyObject *info) {
    PyObject *const handler = PyDict_GetItemWithError(uipc_module(module)->handlers, number);
    if (handler == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    Py_INCREF(handler);
    PyObject *const result = PyObject_CallFunctionObjArgs(handler, number, info, NULL);
    Py_DECREF(handler);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* Run one taken record. Signals that its handler's mask let through run first, as the kernel would stack them; when
 * one of them raises, this one has not begun, and goes back. */
static int run(PyObject *module, const struct uipc_record *record) {
    PyObject *info = NULL;
    PyObject *const number = PyLong_FromLong(record->signum);
    const bool ready = number != NULL && PyErr_CheckSignals() == 0 &&
                       (!(record->flags & SA_SIGINFO) || (info = siginfo_object(module, record)) != NULL);
    int failed = -1;
    if (ready) {
        failed = call_handler(module, number, info);
        uipc_done();
    } else {
        uipc_untake(record);
    }
    Py_XDECREF(info);
    Py_XDECREF(number);
    return failed;
}

/* Run all that waits; `ran` collects the signals. -1 with an exception: CPython then calls again for the rest. */
static int drain(PyObject *module, uint64_t *ran) {
    struct uipc_record record;
    while (uipc_take(&record)) {
        *ran |= uipc_bit(record.signum);
        if (run(module, &record) < 0) {
            uipc_wake();
            return -1;
        }
    }
    return 0;
}

/* CPython has seen a signal of which we have no record. Either an outer call has run it already, or other code put
 * CPython's handler in place of ours. */
static int deliver_without_record(PyObject *module, PyObject *number, uint64_t ran) {
    unsigned int flags;
    const long signum = PyLong_AsLong(number);
    if (signum == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (signum < 1 || signum > 64 || (ran & uipc_bit((int)signum)) || !uipc_repair((int)signum, &flags)) {
        return 0;
    }
    return call_handler(module, number, flags & SA_SIGINFO ? Py_None : NULL);
}

PyDoc_STRVAR(dispatch_doc, "dispatch(signum=0, frame=None, /)\n--\n\nRun the handlers of all recorded signals. CPython "
                           "calls it like any handler; call it bare before a call that must not see held signals.");

static PyObject *dispatch(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    uint64_t ran = 0;
    if (drain(module, &ran) < 0 || (count > 0 && deliver_without_record(module, args[0], ran) < 0)) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static int block_everything(PyObject *module, uint64_t *before) {
    const uint64_t everything = UIPC_ALL_SIGNALS;
    uint64_t ran = 0;
    int result;
    while ((result = uipc_sigprocmask(SIG_SETMASK, &everything, before)) == -ERESTART) {
        if (drain(module, &ran) < 0) {
            return -1;
        }
    }
    return result;
}

PyDoc_STRVAR(
    sigaction_doc,
    "sigaction(signum, recorded, python, address, mask, flags, /)\n--\n\nGive `recorded` to signal.signal() and "
    "install, in one go with all signals blocked, the callable `python`, or where that is None the native "
    "handler at `address`. Returns 0 or -errno.");

static int install_python(PyObject *module, PyObject *number, PyObject *handler, int signum, uint64_t mask,
                          unsigned int flags) {
    if (PyDict_SetItem(uipc_module(module)->handlers, number, handler) < 0) {
        return -ENOMEM;
    }
    return uipc_sigaction_python(signum, mask, flags);
}

static int install_native(PyObject *module, PyObject *number, uint64_t address, int signum, uint64_t mask,
                          unsigned int flags) {
    const int result = uipc_sigaction_set(signum, address, mask, flags);
    if (result == 0 && PyDict_Contains(uipc_module(module)->handlers, number) == 1) {
        return PyDict_DelItem(uipc_module(module)->handlers, number) < 0 ? -ENOMEM : 0;
    }
    return result;
}

static PyObject *install(PyObject *module, PyObject *args) {
    PyObject *number;
    PyObject *recorded;
    PyObject *python;
    unsigned long long address;
    unsigned long long mask;
    unsigned int flags;
    if (!PyArg_ParseTuple(args, "OOOKKI:sigaction", &number, &recorded, &python, &address, &mask, &flags)) {
        return NULL;
    }
    const int signum = (int)PyLong_AsLong(number);
    uint64_t before;
    if (PyErr_Occurred() || block_everything(module, &before) < 0) {
        return NULL;
    }
    int result = 0;
    PyObject *const previous = PyObject_CallFunctionObjArgs(uipc_module(module)->signal, number, recorded, NULL);
    if (previous != NULL) {
        result = python == Py_None ? install_native(module, number, address, signum, mask, flags)
                                   : install_python(module, number, python, signum, mask, flags);
        Py_DECREF(previous);
    }
    uipc_rt_sigprocmask(SIG_SETMASK, &before, NULL);
    return previous == NULL || PyErr_Occurred() ? NULL : PyLong_FromLong(result);
}

PyDoc_STRVAR(deliver_as_doc, "deliver_as(siginfo, /)\n--\n\nGive handlers this subclass of RawSiginfo.");

static PyObject *deliver_as(PyObject *module, PyObject *siginfo) {
    if (PyObject_IsSubclass(siginfo, uipc_module(module)->raw) != 1) {
        PyErr_SetString(PyExc_TypeError, "handlers get a subclass of RawSiginfo");
        return NULL;
    }
    PyObject *const old = uipc_module(module)->siginfo;
    Py_INCREF(siginfo);
    uipc_module(module)->siginfo = siginfo;
    Py_XDECREF(old);
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"dispatch", (PyCFunction)(void (*)(void))dispatch, METH_FASTCALL, dispatch_doc},
    {"sigaction", install, METH_VARARGS, sigaction_doc},
    {"deliver_as", deliver_as, METH_O, deliver_as_doc},
    {NULL, NULL, 0, NULL},
};

int uipc_add_dispatcher(PyObject *module) {
    struct uipc_module *const state = uipc_module(module);
    PyObject *const signal = PyImport_ImportModule("signal");
    if (signal == NULL) {
        return -1;
    }
    state->signal = PyObject_GetAttrString(signal, "signal");
    Py_DECREF(signal);
    state->handlers = PyDict_New();
    state->raw = PyType_FromModuleAndSpec(module, &raw_siginfo_spec, NULL);
    if (state->signal == NULL || state->handlers == NULL || state->raw == NULL ||
        PyModule_AddObjectRef(module, "handlers", state->handlers) < 0 ||
        PyModule_AddObjectRef(module, "RawSiginfo", state->raw) < 0) {
        return -1;
    }
    return PyModule_AddFunctions(module, functions);
}
