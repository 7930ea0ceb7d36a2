/* Fronts of the hot calls, and those of libc/signals.py: they take plain arguments and give plain results. Everything
 * else (other arguments, an error to explain) is their twin's: the same call in Python, over the same function of the
 * shim. */
#include "cpython.h"

#include "internal.h"

#include <string.h>

/* Call a function with the arguments of a METH_FASTCALL | METH_KEYWORDS, after `self` unless that is NULL. */
PyObject *uipc_call(PyObject *function, PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    const Py_ssize_t first = self == NULL ? 0 : 1;
    PyObject *const positional = PyTuple_New(first + count);
    PyObject *keywords = NULL;
    PyObject *result = NULL;
    if (positional == NULL || (names != NULL && (keywords = PyDict_New()) == NULL)) {
        goto done;
    }
    if (self != NULL) {
        Py_INCREF(self);
        PyTuple_SetItem(positional, 0, self);
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_INCREF(args[i]);
        PyTuple_SetItem(positional, first + i, args[i]);
    }
    for (Py_ssize_t i = 0; names != NULL && i < PyTuple_Size(names); i++) {
        if (PyDict_SetItem(keywords, PyTuple_GetItem(names, i), args[count + i]) < 0) {
            goto done;
        }
    }
    result = PyObject_Call(function, positional, keywords);
done:
    Py_XDECREF(positional);
    Py_XDECREF(keywords);
    return result;
}

PyObject *uipc_call_twin(PyObject *module, const char *name, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    return uipc_call(PyDict_GetItemString(uipc_module(module)->twins, name), NULL, args, count, names);
}

/* Whether all arguments are plain ints of C. */
bool uipc_are_ints(PyObject *const *args, Py_ssize_t count, int *numbers) {
    for (Py_ssize_t i = 0; i < count; i++) {
        int overflow = 1;
        const bool is_int = PyLong_CheckExact(args[i]) || PyLong_Check(args[i]);
        const long value = is_int ? PyLong_AsLongAndOverflow(args[i], &overflow) : 0;
        numbers[i] = (int)value;
        if (overflow != 0 || numbers[i] != value) {
            return false;
        }
    }
    return true;
}

void uipc_raise_made(PyObject *exception) {
    if (exception != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
        Py_DECREF(exception);
    }
}

static PyObject *kill_front(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    int numbers[2];
    if (count == 2 && names == NULL && uipc_are_ints(args, count, numbers) && uipc_kill(numbers[0], numbers[1]) == 0) {
        Py_RETURN_NONE;
    }
    return uipc_call_twin(module, "kill", args, count, names);
}

static PyObject *sigqueue_front(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    int numbers[3] = {0};
    if ((count == 2 || count == 3) && names == NULL && uipc_are_ints(args, count, numbers) &&
        uipc_sigqueue(numbers[0], numbers[1], numbers[2]) == 0) {
        Py_RETURN_NONE;
    }
    return uipc_call_twin(module, "sigqueue", args, count, names);
}

/* What is there already is taken with the GIL held. Where nothing was, as in a conversation, nothing will be the next
 * times either: they save the vain look. */
static int wait_for(PyObject *module, uint64_t set, siginfo_t *info) {
    struct uipc_module *const state = uipc_module(module);
    int64_t left[2] = {0, 0};
    int result = -EAGAIN;
    if (state->looks_to_skip > 0) {
        state->looks_to_skip--;
    } else if ((result = uipc_sigtimedwait(set, info, left)) == -EAGAIN) {
        state->looks_to_skip = 8;
    }
    while (result == -EAGAIN || result == -ERESTART) {
        if (result == -ERESTART && uipc_run_handlers(module) < 0) {
            return -ERESTART;
        }
        Py_BEGIN_ALLOW_THREADS;
        result = uipc_sigwaitinfo(set, info);
        Py_END_ALLOW_THREADS;
    }
    return result;
}

/* The mask of a SignalSet, which never changes: most waits are for the set of the wait before. */
static bool mask_of(struct uipc_module *state, PyObject *set, uint64_t *mask) {
    if (set != state->waited_for) {
        PyObject *const number = PyObject_GetAttrString(set, "mask");
        const uint64_t value = number == NULL ? 0 : PyLong_AsUnsignedLongLong(number);
        Py_XDECREF(number);
        if (PyErr_Occurred()) {
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

static PyObject *sigwaitinfo_front(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    struct uipc_module *const state = uipc_module(module);
    uint64_t set;
    siginfo_t info;
    if (count != 1 || names != NULL || (PyObject *)Py_TYPE(args[0]) != state->signal_set) {
        return uipc_call_twin(module, "sigwaitinfo", args, count, names);
    }
    if (!mask_of(state, args[0], &set)) {
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

/* -- the fronts as functions -- */

static const struct {
    const char *name;
    const char *signature;
    uipc_front *function;
} fronts[] = {
    {"kill", "kill(pid, sig)", kill_front},
    {"sigqueue", "sigqueue(pid, sig, value=0, *, pointer=None)", sigqueue_front},
    {"sigwaitinfo", "sigwaitinfo(set)", sigwaitinfo_front},
    {"msgsnd", "msgsnd(msqid, mtype, mtext, msgflg=0, *, timeout=None)", uipc_msgsnd_front},
    {"msgrcv", "msgrcv(msqid, msgsz, msgtyp=0, msgflg=0, *, timeout=None)", uipc_msgrcv_front},
    {"msgsnd_many", "msgsnd_many(msqid, messages, msgflg=0, *, timeout=None)", uipc_msgsnd_many_front},
    {"msgrcv_many", "msgrcv_many(msqid, msgsz, count, msgtyp=0, msgflg=0, *, timeout=None)", uipc_msgrcv_many_front},
    {"semop", "semop(semid, sops)", uipc_semop_front},
    {"mq_send", "mq_send(mqdes, msg, msg_prio=0)", uipc_mq_send_front},
    {"mq_receive", "mq_receive(mqdes, msg)", uipc_mq_receive_front},
    {"mq_timedsend", "mq_timedsend(mqdes, msg, msg_prio, abs_timeout)", uipc_mq_timedsend_front},
    {"mq_timedreceive", "mq_timedreceive(mqdes, msg, abs_timeout)", uipc_mq_timedreceive_front},
    {"mq_send_many", "mq_send_many(mqdes, messages, abs_timeout=None)", uipc_mq_send_many_front},
    {"mq_receive_many", "mq_receive_many(mqdes, msgsize, count, abs_timeout=None)", uipc_mq_receive_many_front},
    {"sem_wait", "sem_wait(sem)", uipc_sem_wait_front},
    {"sem_trywait", "sem_trywait(sem)", uipc_sem_trywait_front},
    {"sem_post", "sem_post(sem)", uipc_sem_post_front},
};

PyMethodDef *uipc_define(const char *name, const char *signature, PyCFunction function, int flags, PyObject *twin) {
    PyMethodDef *definition = NULL;
    PyObject *const doc = PyObject_GetAttrString(twin, "__doc__");
    PyObject *const whole = doc == NULL ? NULL : PyUnicode_FromFormat("%s\n--\n\n%S", signature, doc);
    Py_ssize_t length;
    const char *const text = whole == NULL ? NULL : PyUnicode_AsUTF8AndSize(whole, &length);
    if (text != NULL && (definition = PyMem_Malloc(sizeof *definition + (size_t)length + 1)) != NULL) {
        char *const copy = (char *)(definition + 1);
        memcpy(copy, text, (size_t)length + 1);
        definition->ml_name = name;
        definition->ml_meth = function;
        definition->ml_flags = flags;
        definition->ml_doc = copy;
    }
    Py_XDECREF(doc);
    Py_XDECREF(whole);
    return definition;
}

static PyObject *function_front(PyObject *module, PyObject *twin, PyObject *name) {
    PyObject *made = NULL;
    PyObject *const owner = PyObject_GetAttrString(twin, "__module__");
    for (size_t i = 0; owner != NULL && i < sizeof fronts / sizeof fronts[0]; i++) {
        if (PyUnicode_CompareWithASCIIString(name, fronts[i].name) == 0 &&
            PyDict_SetItem(uipc_module(module)->twins, name, twin) == 0) {
            PyMethodDef *const definition =
                uipc_define(fronts[i].name, fronts[i].signature, (PyCFunction)(void (*)(void))fronts[i].function,
                            METH_FASTCALL | METH_KEYWORDS, twin);
            made = definition == NULL ? NULL : PyCFunction_NewEx(definition, module, owner);
        }
    }
    Py_XDECREF(owner);
    return made;
}

PyDoc_STRVAR(front_doc,
             "front(twin, /)\n--\n\nMake the front of a hot call or method, which calls this function of the same name "
             "for all that it does not do by itself.");

static PyObject *front(PyObject *module, PyObject *twin) {
    PyObject *made = NULL;
    PyObject *const name = PyObject_GetAttrString(twin, "__name__");
    PyObject *const qualname = name == NULL ? NULL : PyObject_GetAttrString(twin, "__qualname__");
    if (qualname != NULL) {
        const bool is_method = PyUnicode_Compare(name, qualname) != 0;
        made = is_method ? uipc_method_front(module, twin, qualname) : function_front(module, twin, name);
    }
    if (made == NULL && !PyErr_Occurred()) {
        PyErr_Format(PyExc_ValueError, "%S() has no front", qualname);
    }
    Py_XDECREF(name);
    Py_XDECREF(qualname);
    return made;
}

static PyMethodDef functions[] = {
    {"front", front, METH_O, front_doc},
    {NULL, NULL, 0, NULL},
};

int uipc_add_signals(PyObject *module) {
    struct uipc_module *const state = uipc_module(module);
    state->twins = PyDict_New();
    return state->twins == NULL || PyModule_AddObjectRef(module, "twins", state->twins) < 0
               ? -1
               : PyModule_AddFunctions(module, functions);
}
