/* The dispatcher of Python signal handlers. */
#include "cpython.h"

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
                       (!(record->flags & SA_SIGINFO) || (info = uipc_siginfo_object(module, &record->info)) != NULL);
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

int uipc_run_handlers(PyObject *module) {
    uint64_t ran = 0;
    return drain(module, &ran);
}

/* CPython has seen a signal of which we have no record. Either an outer call has run it already, or other code put
 * CPython's handler in place of ours. Then the siginfo is what the kernel gives where it had no room for one: SI_USER
 * from process 0. */
static int deliver_without_record(PyObject *module, PyObject *number, uint64_t ran) {
    unsigned int flags;
    const long signum = PyLong_AsLong(number);
    if (signum == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (signum < 1 || signum > 64 || (ran & uipc_bit((int)signum))) {
        return 0;
    }
    if (!uipc_repair((int)signum, &flags)) {
        uipc_repair_native((int)signum);
        return 0;
    }
    PyObject *info = NULL;
    if (flags & SA_SIGINFO && (info = uipc_siginfo_object(module, &(siginfo_t){.si_signo = (int)signum})) == NULL) {
        return -1;
    }
    const int result = call_handler(module, number, info);
    Py_XDECREF(info);
    return result;
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
    int result;
    while ((result = uipc_sigprocmask(SIG_SETMASK, &everything, before)) == -ERESTART) {
        if (uipc_run_handlers(module) < 0) {
            return -1;
        }
    }
    return result;
}

PyDoc_STRVAR(
    sigaction_doc,
    "sigaction(signum, recorded, python, address, argument, mask, flags, /)\n--\n\nGive `recorded` to signal.signal() "
    "unless it is None, and install, in one go with all signals blocked, the callable `python`, or where that is None "
    "the native handler at `address`. Returns 0 or -errno.");

static int install_python(PyObject *module, PyObject *number, PyObject *handler, int signum, uint64_t mask,
                          unsigned int flags) {
    if (PyDict_SetItem(uipc_module(module)->handlers, number, handler) < 0) {
        return -ENOMEM;
    }
    return uipc_sigaction_python(signum, mask, flags);
}

static int install_native(PyObject *module, PyObject *number, uint64_t address, uint64_t argument, int signum,
                          uint64_t mask, unsigned int flags) {
    const int result = uipc_sigaction_native(signum, address, argument, mask, flags);
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
    unsigned long long argument;
    unsigned long long mask;
    unsigned int flags;
    if (!PyArg_ParseTuple(args, "OOOKKKI:sigaction", &number, &recorded, &python, &address, &argument, &mask, &flags)) {
        return NULL;
    }
    const int signum = (int)PyLong_AsLong(number);
    uint64_t before;
    if (PyErr_Occurred() || block_everything(module, &before) < 0) {
        return NULL;
    }
    int result = 0;
    PyObject *const previous = recorded == Py_None
                                   ? Py_NewRef(Py_None)
                                   : PyObject_CallFunctionObjArgs(uipc_module(module)->signal, number, recorded, NULL);
    if (previous != NULL) {
        if (recorded != Py_None) {
            uipc_know_cpython(signum);
        }
        result = python == Py_None ? install_native(module, number, address, argument, signum, mask, flags)
                                   : install_python(module, number, python, signum, mask, flags);
        Py_DECREF(previous);
    }
    uipc_rt_sigprocmask(SIG_SETMASK, &before, NULL);
    return previous == NULL || PyErr_Occurred() ? NULL : PyLong_FromLong(result);
}

static PyMethodDef functions[] = {
    {"dispatch", (PyCFunction)(void (*)(void))dispatch, METH_FASTCALL, dispatch_doc},
    {"sigaction", install, METH_VARARGS, sigaction_doc},
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
    if (state->signal == NULL || state->handlers == NULL ||
        PyModule_AddObjectRef(module, "handlers", state->handlers) < 0) {
        return -1;
    }
    return PyModule_AddFunctions(module, functions);
}
