/* What a call from Python costs at least: functions that make the system call and its result, and look at nothing else.
 * No Python program could use them: they take every argument for what it should be, and wait with the GIL held. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <mqueue.h>
#include <string.h>
#include <sys/msg.h>

#define MOST 65536

struct message {
    long mtype;
    char text[MOST];
};

static PyObject *pair(PyObject *first, PyObject *second) {
    PyObject *const made = PyTuple_New(2);
    PyTuple_SET_ITEM(made, 0, first);
    PyTuple_SET_ITEM(made, 1, second);
    return made;
}

static PyObject *done(long result) { return result < 0 ? PyErr_SetFromErrno(PyExc_OSError) : Py_NewRef(Py_None); }

static PyObject *system_v_send(PyObject *id, PyObject *const *args, Py_ssize_t count) {
    struct message message; /* without a value: to set all of it takes longer than the call */
    (void)count;
    message.mtype = 1;
    memcpy(message.text, PyBytes_AS_STRING(args[0]), (size_t)PyBytes_GET_SIZE(args[0]));
    return done(msgsnd((int)PyLong_AsLong(id), &message, (size_t)PyBytes_GET_SIZE(args[0]), 0));
}

static PyObject *system_v_receive(PyObject *id, PyObject *const *args, Py_ssize_t count) {
    struct message message;
    (void)args;
    (void)count;
    const ssize_t length = msgrcv((int)PyLong_AsLong(id), &message, MOST, 0, 0);
    return length < 0 ? done(length)
                      : pair(PyLong_FromLong(message.mtype), PyBytes_FromStringAndSize(message.text, length));
}

static PyObject *posix_send(PyObject *mqdes, PyObject *const *args, Py_ssize_t count) {
    (void)count;
    return done(mq_send((mqd_t)PyLong_AsLong(mqdes), PyBytes_AS_STRING(args[0]), (size_t)PyBytes_GET_SIZE(args[0]), 0));
}

static PyObject *posix_receive(PyObject *mqdes, PyObject *const *args, Py_ssize_t count) {
    char text[MOST];
    unsigned int priority;
    (void)args;
    (void)count;
    const ssize_t length = mq_receive((mqd_t)PyLong_AsLong(mqdes), text, MOST, &priority);
    return length < 0 ? done(length) : pair(PyBytes_FromStringAndSize(text, length), PyLong_FromLong((long)priority));
}

static PyMethodDef system_v[] = {
    {"send", (PyCFunction)(void (*)(void))system_v_send, METH_FASTCALL, NULL},
    {"receive", (PyCFunction)(void (*)(void))system_v_receive, METH_FASTCALL, NULL},
};

static PyMethodDef posix[] = {
    {"send", (PyCFunction)(void (*)(void))posix_send, METH_FASTCALL, NULL},
    {"receive", (PyCFunction)(void (*)(void))posix_receive, METH_FASTCALL, NULL},
};

static PyObject *bound(PyMethodDef *functions, int number) {
    PyObject *const self = PyLong_FromLong(number);
    PyObject *const made = pair(PyCFunction_New(&functions[0], self), PyCFunction_New(&functions[1], self));
    Py_DECREF(self);
    return made;
}

PyObject *called_system_v(int msqid) { return bound(system_v, msqid); }

PyObject *called_posix(int mqdes) { return bound(posix, mqdes); }
