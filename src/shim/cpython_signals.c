/* Fronts of libc/signals.py: they take plain arguments and give plain results. Everything else (other arguments, an
 * error to explain) is their twin's: the same call in Python, over the same function of the shim. */
#include "cpython.h"

#include <string.h>

UIPC_HOT PyObject *uipc_kill_front(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    int numbers[2];
    if (count == 2 && names == NULL && uipc_are_ints(args, count, numbers) &&
        uipc_hot_kill(numbers[0], numbers[1]) == 0) {
        Py_RETURN_NONE;
    }
    return uipc_call_twin(module, "kill", args, count, names);
}

static inline union sigval value_of(int number) {
    union sigval value;
    memset(&value, 0, sizeof value);
    value.sival_int = number;
    return value;
}

UIPC_HOT PyObject *uipc_sigqueue_front(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    int numbers[3] = {0};
    if ((count == 2 || count == 3) && names == NULL && uipc_are_ints(args, count, numbers) &&
        uipc_hot_sigqueue(numbers[0], numbers[1], value_of(numbers[2])) == 0) {
        Py_RETURN_NONE;
    }
    return uipc_call_twin(module, "sigqueue", args, count, names);
}

static bool mask_of(struct uipc_module *state, PyObject *set, uint64_t *mask) {
    if (state->mask == NULL) {
        state->mask = PyUnicode_InternFromString("mask");
    }
    PyObject *const number = state->mask == NULL ? NULL : PyObject_GetAttr(set, state->mask);
    *mask = number == NULL ? 0 : PyLong_AsUnsignedLongLong(number);
    Py_XDECREF(number);
    return PyErr_Occurred() == NULL;
}

PyObject *uipc_sigprocmask_front(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    struct uipc_module *const state = uipc_module(module);
    int how, result;
    uint64_t set = 0, before;
    if ((count == 1 || (count == 2 && (PyObject *)Py_TYPE(args[1]) == state->signal_set)) && names == NULL &&
        uipc_are_ints(args, 1, &how)) {
        if (count == 2 && !mask_of(state, args[1], &set)) {
            return NULL;
        }
        while ((result = uipc_sigprocmask(how, count == 2 ? &set : NULL, &before)) == -ERESTART) {
            if (uipc_run_handlers(module) < 0) {
                return NULL;
            }
        }
        if (result == 0) {
            return PyObject_CallFunction(state->from_mask, "K", (unsigned long long)before);
        }
    }
    return uipc_call_twin(module, "sigprocmask", args, count, names);
}

UIPC_HOT static int wait_for(PyObject *module, uint64_t set, siginfo_t *info) {
    struct uipc_module *const state = uipc_module(module);
    const struct timespec at_once = {0};
    int result = -EAGAIN;
    if (uipc_looks_first(&state->looks_for_signals) &&
        (result = uipc_hot_sigtimedwait(set, info, &at_once)) == -EAGAIN) {
        uipc_looked_in_vain(&state->looks_for_signals);
    }
    while (result == -EAGAIN || result == -ERESTART) {
        if (result == -ERESTART && uipc_run_handlers(module) < 0) {
            return -ERESTART;
        }
        Py_BEGIN_ALLOW_THREADS;
        result = uipc_hot_sigtimedwait(set, info, NULL);
        Py_END_ALLOW_THREADS;
    }
    return result;
}

/* The mask of a SignalSet, which never changes: most waits are for the set of the wait before. */
UIPC_HOT static bool mask_to_wait_for(struct uipc_module *state, PyObject *set, uint64_t *mask) {
    if (set != state->waited_for) {
        uint64_t value;
        if (!mask_of(state, set, &value)) {
            return false;
        }
        PyObject *const old = state->waited_for;
        Py_INCREF(set);
        state->waited_for = set;
        state->waited_for_mask = value;
        Py_XDECREF(old);
    }
    *mask = state->waited_for_mask;
    return true;
}

UIPC_HOT PyObject *uipc_sigwaitinfo_front(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    struct uipc_module *const state = uipc_module(module);
    uint64_t set;
    siginfo_t info;
    if (count != 1 || names != NULL || (PyObject *)Py_TYPE(args[0]) != state->signal_set) {
        return uipc_call_twin(module, "sigwaitinfo", args, count, names);
    }
    if (!mask_to_wait_for(state, args[0], &set)) {
        return NULL;
    }
    const int result = wait_for(module, set, &info);
    if (result >= 0) {
        return uipc_siginfo_object(module, &info);
    }
    if (result == -EINTR) {
        uipc_raise_made(PyObject_CallFunction(state->failure, "isO", EINTR, "sigwaitinfo", args[0]));
    }
    return PyErr_Occurred() ? NULL : uipc_call_twin(module, "sigwaitinfo", args, count, names);
}
