/* Fronts of the hot methods of the rooms sysv, posix and pipes: what each file of them shares.
 *
 * Such a front is the front of the call below it, with the object's own id, where all is plain and waits for ever:
 * everything else (other arguments, a closed object, a wait that a signal has interrupted) is its twin's, the method in
 * Python. */
#ifndef UNIXIPC_CPYTHON_METHODS_H
#define UNIXIPC_CPYTHON_METHODS_H

#include "cpython.h"

/* The twins, by module and qualified name. */
#define SYSV_SEND "unixipc.sysv.queues.MessageQueue.send"
#define SYSV_RECEIVE "unixipc.sysv.queues.MessageQueue.receive"
#define SYSV_RECEIVE_MANY "unixipc.sysv.queues.MessageQueue.receive_many"
#define SYSV_ACQUIRE "unixipc.sysv.semaphores.SetMember.acquire"
#define SYSV_RELEASE "unixipc.sysv.semaphores.SetMember.release"
#define SYSV_OPERATE "unixipc.sysv.semaphores.SemaphoreSet.operate"
#define POSIX_SEND "unixipc.posix.queues.MessageQueue.send"
#define POSIX_RECEIVE "unixipc.posix.queues.MessageQueue.receive"
#define POSIX_RECEIVE_MANY "unixipc.posix.queues.MessageQueue.receive_many"
#define POSIX_ACQUIRE "unixipc.posix.semaphores._Acquirable.acquire"
#define POSIX_RELEASE "unixipc.posix.semaphores._Acquirable.release"
#define PIPE_READ "unixipc.pipes.ends.Reader.read"
#define PIPE_WRITE "unixipc.pipes.ends.Writer.write"

typedef PyObject *uipc_method(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names);

/* cpython_sysv.c */
uipc_method uipc_sysv_send;
uipc_method uipc_sysv_receive;
uipc_method uipc_sysv_receive_many;
uipc_method uipc_sysv_acquire;
uipc_method uipc_sysv_release;
uipc_method uipc_sysv_operate;
/* cpython_posix.c */
uipc_method uipc_posix_send;
uipc_method uipc_posix_receive;
uipc_method uipc_posix_receive_many;
uipc_method uipc_posix_acquire;
uipc_method uipc_posix_release;
/* cpython_pipes.c */
uipc_method uipc_pipe_read;
uipc_method uipc_pipe_write;

/* A number that was asked for before, so that it need not be taken out of its object again; it owns the object. */
struct uipc_known {
    PyObject *object;
    int value;
};

static inline bool uipc_is_known_int(PyObject *object, struct uipc_known *known, int *value) {
    if (object != known->object) {
        int number;
        if (object == NULL || !uipc_are_ints(&object, 1, &number)) {
            return false;
        }
        PyObject *const old = known->object;
        known->object = Py_NewRef(object);
        known->value = number;
        Py_XDECREF(old);
    }
    *value = known->value;
    return object != NULL;
}

/* What a front looks at, under the names that Python has for it; NULL is an attribute that there is not. Other threads
 * may set one while a front waits: it must own what it uses. */
struct uipc_fronted {
    PyObject head;
    PyObject *module; /* that of the type Fronted, which lasts longer; NULL until it was looked for */
    PyObject *id;
    PyObject *closed;
    PyObject *size;
    PyObject *number;
    PyObject *fd;
    PyObject *sem;
    PyObject *polls; /* NULL for none */
    PyObject *packets;
    struct uipc_known known_id, known_size, known_number, known_fd;
    struct uipc_looks looks;
    PyObject *name; /* for no front: but in a dict of the object's, it would slow each look for a method down */
};

static inline struct uipc_fronted *uipc_fronted_of(PyObject *object) { return (struct uipc_fronted *)(void *)object; }

static inline bool uipc_is_open(const struct uipc_fronted *object) {
    return object->id != NULL && object->closed == Py_False;
}

static inline bool uipc_has_descriptor(struct uipc_fronted *object, int *fd) {
    return uipc_is_known_int(object->fd, &object->known_fd, fd) && *fd >= 0;
}

static inline unsigned int uipc_polls_of(const struct uipc_fronted *queue) {
    int polls = 0;
    return queue->polls != NULL && uipc_are_ints(&queue->polls, 1, &polls) && polls > 0 ? (unsigned int)polls : 0;
}

static inline bool uipc_has_size(struct uipc_fronted *queue, size_t *size) {
    int value;
    const bool has_one = uipc_is_known_int(queue->size, &queue->known_size, &value) && value >= 0;
    *size = has_one ? (size_t)value : 0;
    return has_one;
}

/* A method of a class that is not made here is not told its module. */
PyObject *uipc_find_module(PyObject *self);
static inline PyObject *uipc_module_of(PyObject *self) {
    PyObject *const module = uipc_fronted_of(self)->module;
    return module != NULL ? module : uipc_find_module(self);
}

PyObject *uipc_call_method_twin(const char *name, PyObject *self, PyObject *const *args, Py_ssize_t count,
                                PyObject *names);

/* Whether the only keyword, and whatever stands at the place of the timeout, is the timeout None. */
static inline bool uipc_waits_for_ever(PyObject *const *args, Py_ssize_t count, Py_ssize_t place, PyObject *names) {
    if (names != NULL) {
        return count <= place && PyTuple_Size(names) == 1 && args[count] == Py_None &&
               PyUnicode_CompareWithASCIIString(PyTuple_GetItem(names, 0), "timeout") == 0;
    }
    return count <= place || (count == place + 1 && args[place] == Py_None);
}

/* Whether all that a method of several messages was given is how many, and nothing is to be done in Python before. */
static inline bool uipc_is_plain_count(struct uipc_fronted *queue, PyObject *const *args, Py_ssize_t count,
                                       PyObject *names) {
    int most;
    return count == 1 && names == NULL && uipc_are_ints(args, 1, &most) && most > 0 && uipc_polls_of(queue) == 0;
}

/* Whether the exception is an OSError with this errno, which is then cleared. */
bool uipc_was_error(int error);
/* Whether a signal has interrupted a wait that goes on afterwards, as its class says; then the exception is cleared. */
bool uipc_goes_on(PyObject *self);

#endif
