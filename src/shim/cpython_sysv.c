/* Fronts of the hot calls of libc/sysv: first without waiting and with the GIL held, then as the caller would wait.
 *
 * What the first try cannot do is left to the twin, for nothing has happened yet. A wait that was interrupted, or ended
 * by the removal of the object, must not begin anew: it is told here. */
#include "cpython_methods.h"

#include <limits.h>
#include <sched.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>

/* How long a call waits whose only keyword may be the timeout: a number is left to the twin once it has to be waited.
 */
enum patience { FOR_EVER, A_WHILE, UNKNOWN };

static enum patience patience(PyObject *const *args, Py_ssize_t count, PyObject *names) {
    if (names == NULL) {
        return FOR_EVER;
    }
    if (PyTuple_Size(names) != 1 || PyUnicode_CompareWithASCIIString(PyTuple_GetItem(names, 0), "timeout") != 0) {
        return UNKNOWN;
    }
    if (args[count] == Py_None) {
        return FOR_EVER;
    }
    const double seconds = PyFloat_CheckExact(args[count]) ? PyFloat_AsDouble(args[count]) : -1;
    return seconds >= 0 && seconds < 1e9 ? A_WHILE : UNKNOWN;
}

static bool ended_for_good(int64_t result) { return result == -EINTR || result == -EIDRM; }

/* What the front and that of the method do. NULL without an exception: it is the twin's. */
UIPC_INLINE PyObject *send_to_queue(PyObject *module, int msqid, int64_t mtype, PyObject *object, int msgflg,
                                    bool waits) {
    struct uipc_text text;
    struct uipc_message message;
    if (!uipc_text_of(object, &text)) {
        PyErr_Clear();
        return NULL;
    }
    if (text.size > sizeof message.mtext) {
        uipc_text_free(&text);
        return NULL;
    }
    message.mtype = (long)mtype;
    if (text.size > 0) {
        memcpy(message.mtext, text.begin, text.size);
    }
    uipc_text_free(&text);
    int64_t result = uipc_hot_msgsnd(msqid, &message, text.size, msgflg | IPC_NOWAIT);
    while (waits && ((result == -EAGAIN && !(msgflg & IPC_NOWAIT)) || result == -ERESTART)) {
        if (result == -ERESTART && uipc_run_handlers(module) < 0) {
            break;
        }
        Py_BEGIN_ALLOW_THREADS;
        result = uipc_hot_msgsnd(msqid, &message, text.size, msgflg);
        Py_END_ALLOW_THREADS;
    }
    if (result >= 0) {
        Py_RETURN_NONE;
    }
    if (ended_for_good(result)) {
        PyObject *const bytes = PyUnicode_FromFormat("%zu bytes", text.size);
        uipc_raise_made(PyObject_CallFunction(uipc_module(module)->failure, "isiLN", (int)-result, "msgsnd", msqid,
                                              (long long)mtype, bytes));
    }
    return NULL;
}

PyObject *uipc_msgsnd_front(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    int msqid;
    int msgflg = 0;
    int64_t mtype;
    const enum patience waits = patience(args, count, names);
    if ((count == 3 || count == 4) && waits != UNKNOWN && uipc_are_ints(args, 1, &msqid) &&
        uipc_as_int64(args[1], &mtype) && uipc_are_ints(args + 3, count - 3, &msgflg)) {
        PyObject *const sent = send_to_queue(module, msqid, mtype, args[2], msgflg, waits == FOR_EVER);
        if (sent != NULL || PyErr_Occurred()) {
            return sent;
        }
    }
    return uipc_call_twin(module, "msgsnd", args, count, names);
}

struct wanted {
    int msqid;
    size_t msgsz;
    int64_t msgtyp;
    int msgflg;
    bool waits;
    unsigned int polls;       /* how often to look again, yielding, before it sleeps */
    struct uipc_looks *looks; /* NULL: it always looks first */
};

UIPC_INLINE int64_t receive(const struct wanted *wanted, struct uipc_message *message, int more) {
    return uipc_hot_msgrcv(wanted->msqid, message, wanted->msgsz, wanted->msgtyp, wanted->msgflg | more);
}

/* A processor that finds nothing else to do goes on at once, one that both processes share goes to the other. */
UIPC_HOT static int64_t receive_in_time(const struct wanted *wanted, struct uipc_message *message) {
    for (unsigned int i = 0; i < wanted->polls; i++) {
        sched_yield();
        const int64_t result = receive(wanted, message, IPC_NOWAIT);
        if (result != -ENOMSG) {
            return result;
        }
    }
    return receive(wanted, message, 0);
}

UIPC_INLINE PyObject *receive_from_queue(PyObject *module, const struct wanted *wanted) {
    struct uipc_message message;
    if (wanted->msgsz > sizeof message.mtext) {
        return NULL;
    }
    const bool waits = wanted->waits && !(wanted->msgflg & IPC_NOWAIT);
    int64_t result = -ENOMSG;
    if ((!waits || uipc_looks_first(wanted->looks)) && (result = receive(wanted, &message, IPC_NOWAIT)) == -ENOMSG) {
        uipc_looked_in_vain(wanted->looks);
    }
    while ((waits && result == -ENOMSG) || (wanted->waits && result == -ERESTART)) {
        if (result == -ERESTART && uipc_run_handlers(module) < 0) {
            return NULL;
        }
        Py_BEGIN_ALLOW_THREADS;
        result = receive_in_time(wanted, &message);
        Py_END_ALLOW_THREADS;
    }
    if (result >= 0) {
        return uipc_pair(PyLong_FromLong(message.mtype), PyBytes_FromStringAndSize(message.mtext, (Py_ssize_t)result));
    }
    if (ended_for_good(result)) {
        uipc_raise_made(PyObject_CallFunction(uipc_module(module)->failure, "isinL", (int)-result, "msgrcv",
                                              wanted->msqid, (Py_ssize_t)wanted->msgsz, (long long)wanted->msgtyp));
    }
    return NULL;
}

PyObject *uipc_msgrcv_front(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    int numbers[2]; /* msqid, msgsz */
    struct wanted wanted = {0};
    const enum patience waits = patience(args, count, names);
    if (count >= 2 && count <= 4 && waits != UNKNOWN && uipc_are_ints(args, 2, numbers) && numbers[1] >= 0 &&
        (count < 3 || uipc_as_int64(args[2], &wanted.msgtyp)) &&
        (count < 4 || uipc_are_ints(args + 3, 1, &wanted.msgflg)) && !(wanted.msgflg & MSG_COPY)) {
        wanted.msqid = numbers[0];
        wanted.msgsz = (size_t)numbers[1];
        wanted.waits = waits == FOR_EVER;
        PyObject *const received = receive_from_queue(module, &wanted);
        if (received != NULL || PyErr_Occurred()) {
            return received;
        }
    }
    return uipc_call_twin(module, "msgrcv", args, count, names);
}

/* -- several messages: the GIL is not held, for they take their time -- */

PyObject *uipc_msgsnd_many_front(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    int msqid;
    int msgflg = 0;
    int64_t result;
    struct uipc_batch batch = {0};
    if ((count != 2 && count != 3) || patience(args, count, names) != FOR_EVER || !uipc_are_ints(args, 1, &msqid) ||
        !uipc_are_ints(args + 2, count - 2, &msgflg) || !uipc_batch_of(args[1], 1, &batch)) {
        uipc_batch_free(&batch);
        return PyErr_Occurred() ? NULL : uipc_call_twin(module, "msgsnd_many", args, count, names);
    }
    do {
        Py_BEGIN_ALLOW_THREADS;
        result = uipc_msgsnd(msqid, batch.numbers, batch.sizes, batch.texts, batch.count, msgflg, NULL);
        Py_END_ALLOW_THREADS;
    } while (result == -ERESTART && uipc_run_handlers(module) == 0);
    uipc_batch_free(&batch);
    if (result >= 0) {
        return PyLong_FromLongLong(result);
    }
    if (ended_for_good(result)) {
        PyObject *const subject = PyUnicode_FromFormat("%zu messages", batch.count);
        uipc_raise_made(
            PyObject_CallFunction(uipc_module(module)->failure, "isON", (int)-result, "msgsnd", args[0], subject));
    }
    return PyErr_Occurred() ? NULL : uipc_call_twin(module, "msgsnd_many", args, count, names);
}

PyObject *uipc_msgrcv_many_front(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    int numbers[3]; /* msqid, msgsz, count */
    int msgflg = 0;
    int64_t msgtyp = 0;
    int64_t result;
    struct uipc_batch batch = {0};
    if (count < 3 || count > 5 || patience(args, count, names) != FOR_EVER || !uipc_are_ints(args, 3, numbers) ||
        numbers[1] < 0 || numbers[1] > UIPC_MSGMAX || numbers[2] < 0 ||
        (count > 3 && !uipc_as_int64(args[3], &msgtyp)) || (count > 4 && !uipc_are_ints(args + 4, 1, &msgflg)) ||
        msgflg & MSG_COPY) {
        return uipc_call_twin(module, "msgrcv_many", args, count, names);
    }
    const size_t msgsz = (size_t)numbers[1];
    const size_t most = numbers[2] < UIPC_AT_ONCE ? (size_t)numbers[2] : UIPC_AT_ONCE;
    const size_t room = most * msgsz < UIPC_ROOM ? most * msgsz : UIPC_ROOM;
    if (!uipc_batch_new(&batch, most, room)) {
        uipc_batch_free(&batch);
        return PyErr_NoMemory();
    }
    do {
        Py_BEGIN_ALLOW_THREADS;
        result =
            uipc_msgrcv(numbers[0], batch.numbers, batch.sizes, batch.texts, room, most, msgsz, msgtyp, msgflg, NULL);
        Py_END_ALLOW_THREADS;
    } while (result == -ERESTART && uipc_run_handlers(module) == 0);
    PyObject *const list = result >= 0 ? uipc_batch_list(&batch, (size_t)result, 1) : NULL;
    uipc_batch_free(&batch);
    if (result >= 0) {
        return list;
    }
    if (ended_for_good(result)) {
        PyObject *const wanted = PyLong_FromLongLong(msgtyp);
        uipc_raise_made(PyObject_CallFunction(uipc_module(module)->failure, "isOON", (int)-result, "msgrcv", args[0],
                                              args[1], wanted));
    }
    return PyErr_Occurred() ? NULL : uipc_call_twin(module, "msgrcv_many", args, count, names);
}

/* -- semaphores -- */

enum { SOPS = 16 };

/* Whether these are at most so many plain tuples of two or three numbers. The caller owns the sequence. */
static bool are_sops(PyObject *sequence, struct uipc_sembuf *sops, Py_ssize_t *nsops) {
    const bool is_tuple = PyTuple_Check(sequence);
    if (!is_tuple && !PyList_Check(sequence)) {
        return false;
    }
    *nsops = is_tuple ? PyTuple_Size(sequence) : PyList_Size(sequence);
    if (*nsops > SOPS) {
        return false;
    }
    for (Py_ssize_t i = 0; i < *nsops; i++) {
        PyObject *const sop = is_tuple ? PyTuple_GetItem(sequence, i) : PyList_GetItem(sequence, i);
        const Py_ssize_t length = PyTuple_Check(sop) ? PyTuple_Size(sop) : 0;
        PyObject *fields[3];
        int numbers[3] = {0};
        for (Py_ssize_t field = 0; field < length && field < 3; field++) {
            fields[field] = PyTuple_GetItem(sop, field);
        }
        if ((length != 2 && length != 3) || !uipc_are_ints(fields, length, numbers) || numbers[0] < 0 ||
            numbers[0] > USHRT_MAX || numbers[1] < SHRT_MIN || numbers[1] > SHRT_MAX || numbers[2] < 0 ||
            numbers[2] > SHRT_MAX) {
            return false;
        }
        sops[i] = (struct uipc_sembuf){
            .sem_num = (unsigned short)numbers[0], .sem_op = (short)numbers[1], .sem_flg = (short)numbers[2]};
    }
    return true;
}

UIPC_HOT static int operate_later(PyObject *module, int semid, struct uipc_sembuf *sops, size_t nsops, int result) {
    do {
        if (result == -ERESTART && uipc_run_handlers(module) < 0) {
            break;
        }
        Py_BEGIN_ALLOW_THREADS;
        result = uipc_hot_semop(semid, sops, nsops);
        Py_END_ALLOW_THREADS;
    } while (result == -ERESTART);
    return result;
}

/* At most so many operations, first without waiting. -ERESTART is an exception of a handler. */
UIPC_INLINE int operate(PyObject *module, int semid, struct uipc_sembuf *sops, size_t nsops, struct uipc_looks *looks) {
    bool waits = true;
    int result = -EAGAIN;
    for (size_t i = 0; i < nsops; i++) {
        waits = waits && !(sops[i].sem_flg & IPC_NOWAIT);
        sops[i].sem_flg |= IPC_NOWAIT;
    }
    if (!waits) {
        result = uipc_hot_semop(semid, sops, nsops);
        return result == -ERESTART ? operate_later(module, semid, sops, nsops, result) : result;
    }
    if (uipc_looks_first(looks) && (result = uipc_hot_semop(semid, sops, nsops)) == -EAGAIN) {
        uipc_looked_in_vain(looks);
    }
    if (result != -EAGAIN && result != -ERESTART) {
        return result;
    }
    for (size_t i = 0; i < nsops; i++) {
        sops[i].sem_flg &= ~IPC_NOWAIT;
    }
    return operate_later(module, semid, sops, nsops, result);
}

PyObject *uipc_semop_front(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    int semid;
    Py_ssize_t nsops;
    struct uipc_sembuf sops[SOPS];
    if (count != 2 || names != NULL || !uipc_are_ints(args, 1, &semid) || !are_sops(args[1], sops, &nsops)) {
        return uipc_call_twin(module, "semop", args, count, names);
    }
    const int result = operate(module, semid, sops, (size_t)nsops, NULL);
    if (result >= 0) {
        Py_RETURN_NONE;
    }
    if (ended_for_good(result)) {
        uipc_raise_made(
            PyObject_CallFunction(uipc_module(module)->failure, "isOO", -result, "semop", args[0], args[1]));
    }
    return PyErr_Occurred() ? NULL : uipc_call_twin(module, "semop", args, count, names);
}

/* -- methods -- */

UIPC_HOT PyObject *uipc_sysv_send(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    struct uipc_fronted *const queue = uipc_fronted_of(self);
    int msqid;
    int64_t mtype = 1;
    if (uipc_is_open(queue) && uipc_is_known_int(queue->id, &queue->known_id, &msqid) && count >= 1 &&
        uipc_waits_for_ever(args, count, 2, names) && (count == 1 || uipc_as_int64(args[1], &mtype))) {
        PyObject *const sent = send_to_queue(uipc_module_of(self), msqid, mtype, args[0], 0, true);
        if (sent != NULL || (PyErr_Occurred() && !uipc_was_error(EINTR))) {
            return sent;
        }
    }
    return uipc_call_method_twin(SYSV_SEND, self, args, count, names);
}

UIPC_HOT PyObject *uipc_sysv_receive(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    struct uipc_fronted *const queue = uipc_fronted_of(self);
    struct wanted wanted = {.waits = true, .polls = uipc_polls_of(queue), .looks = &queue->looks};
    const bool selects = count == 1 && args[0] != Py_None;
    if (uipc_is_open(queue) && uipc_has_size(queue, &wanted.msgsz) &&
        uipc_is_known_int(queue->id, &queue->known_id, &wanted.msqid) && count <= 1 &&
        uipc_waits_for_ever(args, count, 1, names) &&
        (!selects || (uipc_as_int64(args[0], &wanted.msgtyp) && wanted.msgtyp > 0))) {
        PyObject *const received = receive_from_queue(uipc_module_of(self), &wanted);
        if (received != NULL || (PyErr_Occurred() && !uipc_was_error(EINTR))) {
            return received;
        }
    }
    return uipc_call_method_twin(SYSV_RECEIVE, self, args, count, names);
}

PyObject *uipc_sysv_receive_many(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    struct uipc_fronted *const queue = uipc_fronted_of(self);
    if (uipc_is_open(queue) && queue->size != NULL && uipc_is_plain_count(queue, args, count, names)) {
        PyObject *const args_of_call[] = {Py_NewRef(queue->id), Py_NewRef(queue->size), args[0]};
        PyObject *const received = uipc_msgrcv_many_front(uipc_module_of(self), args_of_call, 3, NULL);
        Py_DECREF(args_of_call[0]);
        Py_DECREF(args_of_call[1]);
        if (received != NULL || !(uipc_was_error(EINTR) || uipc_was_error(E2BIG))) {
            return received;
        }
    }
    return uipc_call_method_twin(SYSV_RECEIVE_MANY, self, args, count, names);
}

/* Do the usual operation of a semaphore: None, or NULL with an exception that the twin must not change, or without one
 * where it is the twin's. */
UIPC_HOT static PyObject *changed(PyObject *self, short change) {
    PyObject *const module = uipc_module_of(self);
    struct uipc_fronted *const semaphore = uipc_fronted_of(self);
    int semid;
    int number;
    if (!uipc_is_open(semaphore) || !uipc_is_known_int(semaphore->id, &semaphore->known_id, &semid) ||
        !uipc_is_known_int(semaphore->number, &semaphore->known_number, &number) || number < 0 || number > USHRT_MAX) {
        return NULL;
    }
    struct uipc_sembuf sop = {.sem_num = (unsigned short)number, .sem_op = change};
    const int result = operate(module, semid, &sop, 1, change < 0 ? &semaphore->looks : NULL);
    if (result >= 0) {
        Py_RETURN_NONE;
    }
    if (result == -EIDRM) {
        uipc_raise_made(PyObject_CallFunction(uipc_module(module)->failure, "isi[(iii)]", EIDRM, "semop", semid, number,
                                              (int)change, 0));
    }
    return NULL;
}

UIPC_HOT PyObject *uipc_sysv_acquire(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    PyObject *const done = count == 0 && uipc_waits_for_ever(args, count, 0, names) ? changed(self, -1) : NULL;
    return done != NULL || PyErr_Occurred() ? done : uipc_call_method_twin(SYSV_ACQUIRE, self, args, count, names);
}

UIPC_HOT PyObject *uipc_sysv_release(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    PyObject *const done = count == 0 && names == NULL ? changed(self, 1) : NULL;
    return done != NULL || PyErr_Occurred() ? done : uipc_call_method_twin(SYSV_RELEASE, self, args, count, names);
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

PyObject *uipc_sysv_operate(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    struct uipc_fronted *const semaphores = uipc_fronted_of(self);
    if (uipc_is_open(semaphores) && count <= SOPS && uipc_waits_for_ever(args, count, count, names)) {
        PyObject *const operations = operations_of(args, count);
        PyObject *const args_of_call[] = {Py_NewRef(semaphores->id), operations};
        PyObject *const done =
            operations == NULL ? NULL : uipc_semop_front(uipc_module_of(self), args_of_call, 2, NULL);
        Py_DECREF(args_of_call[0]);
        Py_XDECREF(operations);
        if (done != NULL || (PyErr_Occurred() && !uipc_was_error(EINTR))) {
            return done;
        }
    }
    return uipc_call_method_twin(SYSV_OPERATE, self, args, count, names);
}
