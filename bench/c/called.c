/* What a call from Python costs at least: functions that make the system call and its result, and look at nothing else.
 * No Python program could use them: they take every argument for what it should be, and wait with the GIL held. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <mqueue.h>
#include <signal.h>
#include <string.h>
#include <sys/msg.h>
#include <sys/sem.h>

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

static PyObject *system_v_send_many(PyObject *id, PyObject *const *args, Py_ssize_t count) {
    struct message message;
    for (count = 0; count < PyList_GET_SIZE(args[0]); count++) {
        PyObject *const pair = PyList_GET_ITEM(args[0], count);
        PyObject *const text = PyTuple_GET_ITEM(pair, 1);
        message.mtype = PyLong_AsLong(PyTuple_GET_ITEM(pair, 0));
        memcpy(message.text, PyBytes_AS_STRING(text), (size_t)PyBytes_GET_SIZE(text));
        if (msgsnd((int)PyLong_AsLong(id), &message, (size_t)PyBytes_GET_SIZE(text), 0) < 0) {
            return done(-1);
        }
    }
    return done(0);
}

static PyObject *system_v_receive_many(PyObject *id, PyObject *const *args, Py_ssize_t count) {
    PyObject *const messages = PyList_New(PyLong_AsLong(args[0]));
    for (count = 0; count < PyList_GET_SIZE(messages); count++) {
        PyList_SET_ITEM(messages, count, system_v_receive(id, NULL, 0));
    }
    return messages;
}

static PyObject *posix_send_many(PyObject *mqdes, PyObject *const *args, Py_ssize_t count) {
    for (count = 0; count < PyList_GET_SIZE(args[0]); count++) {
        PyObject *const pair = PyList_GET_ITEM(args[0], count);
        PyObject *const text = PyTuple_GET_ITEM(pair, 0);
        if (mq_send((mqd_t)PyLong_AsLong(mqdes), PyBytes_AS_STRING(text), (size_t)PyBytes_GET_SIZE(text),
                    (unsigned int)PyLong_AsLong(PyTuple_GET_ITEM(pair, 1))) < 0) {
            return done(-1);
        }
    }
    return done(0);
}

static PyObject *posix_receive_many(PyObject *mqdes, PyObject *const *args, Py_ssize_t count) {
    PyObject *const messages = PyList_New(PyLong_AsLong(args[0]));
    for (count = 0; count < PyList_GET_SIZE(messages); count++) {
        PyList_SET_ITEM(messages, count, posix_receive(mqdes, NULL, 0));
    }
    return messages;
}

static PyObject *change(PyObject *id, short by) {
    struct sembuf sop = {.sem_op = by};
    return done(semop((int)PyLong_AsLong(id), &sop, 1));
}

static PyObject *acquire(PyObject *id, PyObject *const *args, Py_ssize_t count) {
    (void)args;
    (void)count;
    return change(id, -1);
}

static PyObject *release(PyObject *id, PyObject *const *args, Py_ssize_t count) {
    (void)args;
    (void)count;
    return change(id, 1);
}

static PyObject *send_signal(PyObject *none, PyObject *const *args, Py_ssize_t count) {
    (void)none;
    (void)count;
    return done(kill((pid_t)PyLong_AsLong(args[0]), (int)PyLong_AsLong(args[1])));
}

static PyObject *queue_signal(PyObject *none, PyObject *const *args, Py_ssize_t count) {
    (void)none;
    (void)count;
    return done(sigqueue((pid_t)PyLong_AsLong(args[0]), (int)PyLong_AsLong(args[1]), (union sigval){.sival_int = 0}));
}

static PyObject *wait_for_signal(PyObject *none, PyObject *const *args, Py_ssize_t count) {
    sigset_t set;
    siginfo_t info;
    (void)none;
    (void)count;
    sigemptyset(&set);
    sigaddset(&set, (int)PyLong_AsLong(args[0]));
    return sigwaitinfo(&set, &info) < 0 ? done(-1) : PyLong_FromLong(info.si_signo);
}

#define FUNCTION(name) {#name, (PyCFunction)(void (*)(void))(name), METH_FASTCALL, NULL}

/* A tuple of functions, which know the number of a kernel object. */
static PyObject *bound(PyMethodDef *functions, Py_ssize_t count, int number) {
    PyObject *const self = PyLong_FromLong(number);
    PyObject *const made = PyTuple_New(count);
    for (Py_ssize_t i = 0; i < count; i++) {
        PyTuple_SET_ITEM(made, i, PyCFunction_New(&functions[i], self));
    }
    Py_DECREF(self);
    return made;
}

#define CALLED(name, number, ...)                                                                                      \
    static PyMethodDef name##_functions[] = {__VA_ARGS__};                                                             \
    PyObject *called_##name(int number) {                                                                              \
        return bound(name##_functions, sizeof name##_functions / sizeof name##_functions[0], number);                  \
    }

CALLED(system_v, msqid, FUNCTION(system_v_send), FUNCTION(system_v_receive), FUNCTION(system_v_send_many),
       FUNCTION(system_v_receive_many))
CALLED(posix, mqdes, FUNCTION(posix_send), FUNCTION(posix_receive), FUNCTION(posix_send_many),
       FUNCTION(posix_receive_many))
CALLED(semaphore, semid, FUNCTION(acquire), FUNCTION(release))
CALLED(kill, unused, FUNCTION(send_signal), FUNCTION(wait_for_signal))
CALLED(sigqueue, unused, FUNCTION(queue_signal), FUNCTION(wait_for_signal))
