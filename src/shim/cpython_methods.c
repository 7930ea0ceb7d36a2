/* Fronts of the hot methods of the rooms sysv, posix and pipes, and the base of the objects that have them.
 *
 * Such a front is the front of the call below it, with the object's own id, where all is plain and waits for ever:
 * everything else (other arguments, a closed object, a wait that a signal has interrupted) is its twin's, the method in
 * Python. */
#include "cpython.h"

#include <limits.h>
#include <stddef.h>
#include <structmember.h>

/* A number that was asked for before, so that it need not be taken out of its object again; it owns the object. */
struct known {
    PyObject *object;
    int value;
};

UIPC_HOT static bool is_known_int(PyObject *object, struct known *known, int *value) {
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
struct fronted {
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
    struct known known_id, known_size, known_number, known_fd;
    struct uipc_looks looks;
    PyObject *name; /* for no front: but in a dict of the object's, it would slow each look for a method down */
};

static struct fronted *fronted_of(PyObject *object) { return (struct fronted *)(void *)object; }

UIPC_HOT static bool is_open(const struct fronted *object) { return object->id != NULL && object->closed == Py_False; }

UIPC_HOT static bool has_descriptor(struct fronted *object, int *fd) {
    return is_known_int(object->fd, &object->known_fd, fd) && *fd >= 0;
}

UIPC_HOT static unsigned int polls_of(const struct fronted *queue) {
    int polls = 0;
    return queue->polls != NULL && uipc_are_ints(&queue->polls, 1, &polls) && polls > 0 ? (unsigned int)polls : 0;
}

UIPC_HOT static bool has_size(struct fronted *queue, size_t *size) {
    int value;
    const bool has_one = is_known_int(queue->size, &queue->known_size, &value) && value >= 0;
    *size = has_one ? (size_t)value : 0;
    return has_one;
}

static void fronted_dealloc(PyObject *self);

/* A method of a class that is not made here is not told its module; the type Fronted, which all objects have below
 * theirs, knows it. */
UIPC_HOT static PyObject *module_of(PyObject *self) {
    struct fronted *const object = fronted_of(self);
    if (object->module == NULL) {
        PyTypeObject *type = Py_TYPE(self);
        while ((destructor)PyType_GetSlot(type, Py_tp_dealloc) != fronted_dealloc) {
            type = PyType_GetSlot(type, Py_tp_base);
        }
        object->module = PyType_GetModule(type);
    }
    return object->module;
}

/* Whether the only keyword, and whatever stands at the place of the timeout, is the timeout None. */
UIPC_HOT static bool waits_for_ever(PyObject *const *args, Py_ssize_t count, Py_ssize_t place, PyObject *names) {
    if (names != NULL) {
        return count <= place && PyTuple_Size(names) == 1 && args[count] == Py_None &&
               PyUnicode_CompareWithASCIIString(PyTuple_GetItem(names, 0), "timeout") == 0;
    }
    return count <= place || (count == place + 1 && args[place] == Py_None);
}

/* Whether the exception is an OSError with this errno, which is then cleared. */
static bool was_error(int error) {
    PyObject *type;
    PyObject *value;
    PyObject *traceback;
    int number = 0;
    if (!PyErr_Occurred() || !PyErr_ExceptionMatches(PyExc_OSError)) {
        return false;
    }
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    PyObject *const code = PyObject_GetAttrString(value, "errno");
    const bool is_it = code != NULL && uipc_are_ints(&code, 1, &number) && number == error;
    Py_XDECREF(code);
    if (is_it) {
        Py_XDECREF(type);
        Py_XDECREF(value);
        Py_XDECREF(traceback);
    } else {
        PyErr_Restore(type, value, traceback);
    }
    return is_it;
}

/* Whether a signal has interrupted a wait that goes on afterwards, as its class says; then the exception is cleared. */
static bool goes_on(PyObject *self) {
    PyObject *type;
    PyObject *value;
    PyObject *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *const resumes = PyObject_GetAttrString(self, "resumes");
    const bool is_wanted = resumes != NULL && PyObject_IsTrue(resumes) == 1;
    Py_XDECREF(resumes);
    PyErr_Restore(type, value, traceback);
    return is_wanted && was_error(EINTR);
}

typedef PyObject *method_front(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names);

static PyObject *call_twin(const char *name, PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    PyObject *const twins = uipc_module(module_of(self))->twin_methods;
    return uipc_call(PyDict_GetItemString(twins, name), self, args, count, names);
}

/* -- System V -- */

#define SYSV_SEND "unixipc.sysv.queues.MessageQueue.send"
#define SYSV_RECEIVE "unixipc.sysv.queues.MessageQueue.receive"
#define SYSV_RECEIVE_MANY "unixipc.sysv.queues.MessageQueue.receive_many"
#define SYSV_ACQUIRE "unixipc.sysv.semaphores.SetMember.acquire"
#define SYSV_RELEASE "unixipc.sysv.semaphores.SetMember.release"
#define SYSV_OPERATE "unixipc.sysv.semaphores.SemaphoreSet.operate"

UIPC_HOT static PyObject *sysv_send(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    struct fronted *const queue = fronted_of(self);
    int msqid;
    int64_t mtype = 1;
    if (is_open(queue) && is_known_int(queue->id, &queue->known_id, &msqid) && count >= 1 &&
        waits_for_ever(args, count, 2, names) && (count == 1 || uipc_as_int64(args[1], &mtype))) {
        PyObject *const sent = uipc_send_to_queue(module_of(self), msqid, mtype, args[0], 0, true);
        if (sent != NULL || (PyErr_Occurred() && !was_error(EINTR))) {
            return sent;
        }
    }
    return call_twin(SYSV_SEND, self, args, count, names);
}

UIPC_HOT static PyObject *sysv_receive(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    struct fronted *const queue = fronted_of(self);
    struct uipc_wanted wanted = {.waits = true, .polls = polls_of(queue), .looks = &queue->looks};
    const bool selects = count == 1 && args[0] != Py_None;
    if (is_open(queue) && has_size(queue, &wanted.msgsz) && is_known_int(queue->id, &queue->known_id, &wanted.msqid) &&
        count <= 1 && waits_for_ever(args, count, 1, names) &&
        (!selects || (uipc_as_int64(args[0], &wanted.msgtyp) && wanted.msgtyp > 0))) {
        PyObject *const received = uipc_receive_from_queue(module_of(self), &wanted);
        if (received != NULL || (PyErr_Occurred() && !was_error(EINTR))) {
            return received;
        }
    }
    return call_twin(SYSV_RECEIVE, self, args, count, names);
}

/* Whether all that a method of several messages was given is how many, and nothing is to be done in Python before. */
static bool is_plain_count(struct fronted *queue, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    int most;
    return count == 1 && names == NULL && uipc_are_ints(args, 1, &most) && most > 0 && polls_of(queue) == 0;
}

static PyObject *sysv_receive_many(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    struct fronted *const queue = fronted_of(self);
    if (is_open(queue) && queue->size != NULL && is_plain_count(queue, args, count, names)) {
        PyObject *const args_of_call[] = {Py_NewRef(queue->id), Py_NewRef(queue->size), args[0]};
        PyObject *const received = uipc_msgrcv_many_front(module_of(self), args_of_call, 3, NULL);
        Py_DECREF(args_of_call[0]);
        Py_DECREF(args_of_call[1]);
        if (received != NULL || !(was_error(EINTR) || was_error(E2BIG))) {
            return received;
        }
    }
    return call_twin(SYSV_RECEIVE_MANY, self, args, count, names);
}

/* Do the usual operation of a semaphore: None, or NULL with an exception that the twin must not change, or without one
 * where it is the twin's. */
UIPC_HOT static PyObject *changed(PyObject *self, short change) {
    PyObject *const module = module_of(self);
    struct fronted *const semaphore = fronted_of(self);
    int semid;
    int number;
    if (!is_open(semaphore) || !is_known_int(semaphore->id, &semaphore->known_id, &semid) ||
        !is_known_int(semaphore->number, &semaphore->known_number, &number) || number < 0 || number > USHRT_MAX) {
        return NULL;
    }
    struct uipc_sembuf sop = {.sem_num = (unsigned short)number, .sem_op = change};
    const int result = uipc_operate(module, semid, &sop, 1, &semaphore->looks);
    if (result >= 0) {
        Py_RETURN_NONE;
    }
    if (result == -EIDRM) {
        uipc_raise_made(PyObject_CallFunction(uipc_module(module)->failure, "isi[(iii)]", EIDRM, "semop", semid, number,
                                              (int)change, 0));
    }
    return NULL;
}

UIPC_HOT static PyObject *sysv_acquire(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    PyObject *const done = count == 0 && waits_for_ever(args, count, 0, names) ? changed(self, -1) : NULL;
    return done != NULL || PyErr_Occurred() ? done : call_twin(SYSV_ACQUIRE, self, args, count, names);
}

UIPC_HOT static PyObject *sysv_release(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    PyObject *const done = count == 0 && names == NULL ? changed(self, 1) : NULL;
    return done != NULL || PyErr_Occurred() ? done : call_twin(SYSV_RELEASE, self, args, count, names);
}

/* Operations as semop(2) has them, of pairs: the caller owns the tuple. */
static PyObject *operations_of(PyObject *const *pairs, Py_ssize_t count) {
    for (Py_ssize_t i = 0; i < count; i++) {
        if (!PyTuple_CheckExact(pairs[i]) || PyTuple_Size(pairs[i]) != 2) {
            return NULL;
        }
    }
    PyObject *const operations = PyTuple_New(count);
    for (Py_ssize_t i = 0; operations != NULL && i < count; i++) {
        PyTuple_SetItem(operations, i, Py_NewRef(pairs[i]));
    }
    return operations;
}

static PyObject *sysv_operate(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    struct fronted *const semaphores = fronted_of(self);
    if (is_open(semaphores) && count <= UIPC_SOPS && waits_for_ever(args, count, count, names)) {
        PyObject *const operations = operations_of(args, count);
        PyObject *const args_of_call[] = {Py_NewRef(semaphores->id), operations};
        PyObject *const done = operations == NULL ? NULL : uipc_semop_front(module_of(self), args_of_call, 2, NULL);
        Py_DECREF(args_of_call[0]);
        Py_XDECREF(operations);
        if (done != NULL || (PyErr_Occurred() && !was_error(EINTR))) {
            return done;
        }
    }
    return call_twin(SYSV_OPERATE, self, args, count, names);
}

/* -- POSIX -- */

#define POSIX_SEND "unixipc.posix.queues.MessageQueue.send"
#define POSIX_RECEIVE "unixipc.posix.queues.MessageQueue.receive"
#define POSIX_RECEIVE_MANY "unixipc.posix.queues.MessageQueue.receive_many"
#define POSIX_ACQUIRE "unixipc.posix.semaphores._Acquirable.acquire"
#define POSIX_RELEASE "unixipc.posix.semaphores._Acquirable.release"

UIPC_HOT static PyObject *posix_send(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    struct fronted *const queue = fronted_of(self);
    int mqdes;
    int priority = 0;
    if (has_descriptor(queue, &mqdes) && count >= 1 && waits_for_ever(args, count, 2, names) &&
        (count == 1 || (uipc_are_ints(args + 1, 1, &priority) && priority >= 0))) {
        PyObject *const sent = uipc_mq_send_text(module_of(self), mqdes, args[0], (unsigned int)priority);
        if (sent != NULL || (PyErr_Occurred() && !goes_on(self))) {
            return sent;
        }
    }
    return call_twin(POSIX_SEND, self, args, count, names);
}

UIPC_HOT static PyObject *posix_receive(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    struct fronted *const queue = fronted_of(self);
    int mqdes;
    size_t size;
    if (has_descriptor(queue, &mqdes) && has_size(queue, &size) && waits_for_ever(args, count, 0, names)) {
        PyObject *const received = uipc_mq_receive_text(module_of(self), mqdes, size, polls_of(queue), &queue->looks);
        if (received != NULL || (PyErr_Occurred() && !goes_on(self))) {
            return received;
        }
    }
    return call_twin(POSIX_RECEIVE, self, args, count, names);
}

static PyObject *posix_receive_many(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    struct fronted *const queue = fronted_of(self);
    int mqdes;
    if (has_descriptor(queue, &mqdes) && queue->size != NULL && is_plain_count(queue, args, count, names)) {
        PyObject *const args_of_call[] = {Py_NewRef(queue->fd), Py_NewRef(queue->size), args[0]};
        PyObject *const received = uipc_mq_receive_many_front(module_of(self), args_of_call, 3, NULL);
        Py_DECREF(args_of_call[0]);
        Py_DECREF(args_of_call[1]);
        if (received != NULL || !goes_on(self)) {
            return received;
        }
    }
    return call_twin(POSIX_RECEIVE_MANY, self, args, count, names);
}

UIPC_HOT static PyObject *posix_acquire(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    PyObject *const sem = fronted_of(self)->sem;
    if (sem != NULL && count == 0 && waits_for_ever(args, count, 0, names)) {
        Py_INCREF(sem); /* close() lets go of it */
        const int result = uipc_acquire_semaphore(module_of(self), sem);
        Py_DECREF(sem);
        if (result == 0 || (PyErr_Occurred() && !goes_on(self))) {
            return result == 0 ? Py_NewRef(Py_None) : NULL;
        }
    }
    return call_twin(POSIX_ACQUIRE, self, args, count, names);
}

UIPC_HOT static PyObject *posix_release(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    uint64_t address;
    if (count == 0 && names == NULL && uipc_is_open_semaphore(module_of(self), fronted_of(self)->sem, &address) &&
        uipc_sem_post(address) == 0) {
        Py_RETURN_NONE;
    }
    return call_twin(POSIX_RELEASE, self, args, count, names);
}

/* -- pipes -- */

#define PIPE_READ "unixipc.pipes.ends.Reader.read"
#define PIPE_WRITE "unixipc.pipes.ends.Writer.write"
#define PIPE_USUAL 65536 /* bytes that are read unless told otherwise, and at most: see the twin */

UIPC_HOT static PyObject *pipe_read(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    struct fronted *const end = fronted_of(self);
    int fd;
    int size = PIPE_USUAL;
    if (has_descriptor(end, &fd) && end->packets == Py_False && waits_for_ever(args, count, 1, names) &&
        (count == 0 || uipc_are_ints(args, 1, &size)) && size >= 0 && size <= PIPE_USUAL) {
        PyObject *const read = uipc_read_bytes(module_of(self), fd, (size_t)size);
        if (read != NULL || (PyErr_Occurred() && !was_error(EINTR))) {
            return read;
        }
    }
    return call_twin(PIPE_READ, self, args, count, names);
}

/* Only what goes in whole or not at all: of the rest nobody would know how much of it had gone. */
UIPC_HOT static PyObject *pipe_write(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    struct fronted *const end = fronted_of(self);
    int fd;
    struct uipc_text text;
    if (!has_descriptor(end, &fd) || end->packets != Py_False || count == 0 || !waits_for_ever(args, count, 1, names) ||
        !uipc_text_of(args[0], &text)) {
        PyErr_Clear();
        return call_twin(PIPE_WRITE, self, args, count, names);
    }
    const bool is_whole = text.size > 0 && text.size <= PIPE_BUF;
    const Py_ssize_t size = (Py_ssize_t)text.size;
    const int64_t written = is_whole ? uipc_write_text(module_of(self), fd, &text) : -EAGAIN;
    uipc_text_free(&text);
    if (written == size) {
        Py_RETURN_NONE;
    }
    if (was_error(EPIPE)) {
        PyObject *const error = PyObject_CallFunction(uipc_module(module_of(self))->failure, "isi", EPIPE, "write", fd);
        PyObject *const told =
            error == NULL ? NULL : PyObject_CallMethod(self, "_tell", "OinO", error, 0, size, Py_None);
        Py_XDECREF(error);
        return told;
    }
    return PyErr_Occurred() && !was_error(EINTR) ? NULL : call_twin(PIPE_WRITE, self, args, count, names);
}

/* -- the fronts as methods -- */

static const struct {
    const char *twin; /* its module and qualified name */
    const char *name;
    const char *signature;
    method_front *function;
} fronts[] = {
    {SYSV_SEND, "send", "send($self, text, mtype=1, timeout=None)", sysv_send},
    {SYSV_RECEIVE, "receive",
     "receive($self, mtype=None, *, up_to=None, other_than=None, max_size=None, truncate=False, timeout=None)",
     sysv_receive},
    {SYSV_RECEIVE_MANY, "receive_many",
     "receive_many($self, count, mtype=None, *, up_to=None, other_than=None, timeout=None)", sysv_receive_many},
    {SYSV_ACQUIRE, "acquire", "acquire($self, count=1, *, undo=False, timeout=None)", sysv_acquire},
    {SYSV_RELEASE, "release", "release($self, count=1, *, undo=False)", sysv_release},
    {SYSV_OPERATE, "operate", "operate($self, *operations, undo=False, timeout=None)", sysv_operate},
    {POSIX_SEND, "send", "send($self, text, priority=0, timeout=None)", posix_send},
    {POSIX_RECEIVE, "receive", "receive($self, timeout=None)", posix_receive},
    {POSIX_RECEIVE_MANY, "receive_many", "receive_many($self, count, timeout=None)", posix_receive_many},
    {POSIX_ACQUIRE, "acquire", "acquire($self, *, timeout=None)", posix_acquire},
    {POSIX_RELEASE, "release", "release($self)", posix_release},
    {PIPE_READ, "read", "read($self, size=65536, timeout=None)", pipe_read},
    {PIPE_WRITE, "write", "write($self, data, timeout=None)", pipe_write},
};

/* The twin stays in its place until there is a class, whose own method the front is then: pickles find it there, and
 * the interpreter calls a method of C fastest on objects of the very class that it was made for. */
PyObject *uipc_method_front(PyObject *module, PyObject *twin, PyObject *qualname) {
    PyObject *made = NULL;
    PyObject *const owner = PyObject_GetAttrString(twin, "__module__");
    PyObject *const name = owner == NULL ? NULL : PyUnicode_FromFormat("%S.%S", owner, qualname);
    for (size_t i = 0; name != NULL && i < sizeof fronts / sizeof fronts[0]; i++) {
        if (PyUnicode_CompareWithASCIIString(name, fronts[i].twin) == 0 &&
            PyDict_SetItem(uipc_module(module)->twin_methods, name, twin) == 0) {
            made = Py_NewRef(twin);
        }
    }
    Py_XDECREF(owner);
    Py_XDECREF(name);
    return made;
}

/* Put the front of a twin in its place, in this class. */
static int put_front(struct uipc_module *state, PyTypeObject *cls, size_t number, PyObject *twin) {
    PyMethodDef *const definition =
        uipc_define(fronts[number].name, fronts[number].signature, (PyCFunction)(void (*)(void))fronts[number].function,
                    METH_FASTCALL | METH_KEYWORDS, twin);
    PyObject *const front = definition == NULL ? NULL : PyDescr_NewMethod(cls, definition);
    const bool is_put = front != NULL && PyDict_SetItem(state->method_fronts, front, twin) == 0 &&
                        PyObject_SetAttrString((PyObject *)cls, fronts[number].name, front) == 0;
    Py_XDECREF(front);
    return is_put ? 0 : -1;
}

/* What a class has as twins, of its own or of a base that is not Fronted, become fronts; subclasses inherit these. */
static PyObject *fronted_init_subclass(PyObject *cls, PyTypeObject *type, PyObject *const *args, Py_ssize_t count,
                                       PyObject *names) {
    struct uipc_module *const state = uipc_module(PyType_GetModule(type));
    for (size_t i = 0; i < sizeof fronts / sizeof fronts[0]; i++) {
        PyObject *const twin = PyDict_GetItemString(state->twin_methods, fronts[i].twin);
        PyObject *const there = twin == NULL ? NULL : PyObject_GetAttrString(cls, fronts[i].name);
        const bool is_twin = there != NULL && there == twin;
        Py_XDECREF(there);
        if (is_twin && put_front(state, (PyTypeObject *)(void *)cls, i, twin) < 0) {
            return NULL;
        }
        PyErr_Clear();
    }
    PyObject *const next = PyObject_CallFunction((PyObject *)&PySuper_Type, "OO", type, cls);
    PyObject *const told = next == NULL ? NULL : PyObject_GetAttrString(next, "__init_subclass__");
    PyObject *const result = told == NULL ? NULL : uipc_call(told, NULL, args, count, names);
    Py_XDECREF(next);
    Py_XDECREF(told);
    return result;
}

/* -- the type -- */

static PyMemberDef members[] = {
    {"_id", T_OBJECT_EX, offsetof(struct fronted, id), 0, NULL},
    {"_closed", T_OBJECT_EX, offsetof(struct fronted, closed), 0, NULL},
    {"_size", T_OBJECT_EX, offsetof(struct fronted, size), 0, NULL},
    {"_number", T_OBJECT_EX, offsetof(struct fronted, number), 0, NULL},
    {"_fd", T_OBJECT_EX, offsetof(struct fronted, fd), 0, NULL},
    {"_sem", T_OBJECT_EX, offsetof(struct fronted, sem), 0, NULL},
    {"_polls", T_OBJECT_EX, offsetof(struct fronted, polls), 0, NULL},
    {"_packets", T_OBJECT_EX, offsetof(struct fronted, packets), 0, NULL},
    {"_name", T_OBJECT_EX, offsetof(struct fronted, name), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyObject **place_of(PyObject *self, const PyMemberDef *member) {
    return (PyObject **)(void *)((char *)self + member->offset);
}

static int fronted_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    for (const PyMemberDef *member = members; member->name != NULL; member++) {
        Py_VISIT(*place_of(self, member));
    }
    return 0;
}

static int fronted_clear(PyObject *self) {
    for (const PyMemberDef *member = members; member->name != NULL; member++) {
        Py_CLEAR(*place_of(self, member));
    }
    return 0;
}

static void fronted_dealloc(PyObject *self) {
    struct fronted *const object = fronted_of(self);
    struct known *const known[] = {&object->known_id, &object->known_size, &object->known_number, &object->known_fd};
    PyObject_GC_UnTrack(self);
    fronted_clear(self);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        Py_CLEAR(known[i]->object);
    }
    uipc_free_object(self);
}

/* What pickling and copying keep: what they would of any object, and the members, as if they were its __slots__. */
static PyObject *fronted_getstate(PyObject *self, PyObject *unused) {
    (void)unused;
    PyObject *const state = PyObject_CallMethod((PyObject *)&PyBaseObject_Type, "__getstate__", "O", self);
    PyObject *slots = NULL;
    PyObject *whole = NULL;
    if (state != NULL && PyTuple_Check(state)) {
        slots = PyDict_Copy(PyTuple_GetItem(state, 1));
    } else if (state != NULL) {
        slots = PyDict_New();
    }
    for (const PyMemberDef *member = members; slots != NULL && member->name != NULL; member++) {
        PyObject *const value = *place_of(self, member);
        if (value != NULL && PyDict_SetItemString(slots, member->name, value) < 0) {
            Py_CLEAR(slots);
        }
    }
    if (slots != NULL) {
        whole = Py_BuildValue("(OO)", PyTuple_Check(state) ? PyTuple_GetItem(state, 0) : state, slots);
    }
    Py_XDECREF(state);
    Py_XDECREF(slots);
    return whole;
}

static PyMethodDef methods[] = {
    {"__init_subclass__", (PyCFunction)(void (*)(void))fronted_init_subclass,
     METH_CLASS | METH_METHOD | METH_FASTCALL | METH_KEYWORDS, NULL},
    {"__getstate__", fronted_getstate, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot fronted_slots[] = {
    {Py_tp_doc, "An object whose hot methods have fronts, and what these look at."},
    {Py_tp_members, members},
    {Py_tp_methods, methods},
    {Py_tp_traverse, fronted_traverse},
    {Py_tp_clear, fronted_clear},
    {Py_tp_dealloc, fronted_dealloc},
    {0, NULL},
};

static PyType_Spec fronted_spec = {
    .name = "unixipc._cpython.Fronted",
    .basicsize = sizeof(struct fronted),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = fronted_slots,
};

int uipc_add_methods(PyObject *module) {
    struct uipc_module *const state = uipc_module(module);
    state->twin_methods = PyDict_New();
    state->method_fronts = PyDict_New();
    state->fronted = PyType_FromModuleAndSpec(module, &fronted_spec, NULL);
    return state->twin_methods == NULL || state->method_fronts == NULL || state->fronted == NULL ||
                   PyModule_AddObjectRef(module, "method_fronts", state->method_fronts) < 0 ||
                   PyModule_AddObjectRef(module, "Fronted", state->fronted) < 0
               ? -1
               : 0;
}
