/* Fronts of the hot calls of libc/sysv: first without waiting and with the GIL held, then as the caller would wait.
 *
 * What the first try cannot do is left to the twin, for nothing has happened yet. A wait that was interrupted, or ended
 * by the removal of the object, must not begin anew: it is told here. */
#include "cpython.h"

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

UIPC_HOT PyObject *uipc_send_to_queue(PyObject *module, int msqid, int64_t mtype, PyObject *object, int msgflg,
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
        PyObject *const sent = uipc_send_to_queue(module, msqid, mtype, args[2], msgflg, waits == FOR_EVER);
        if (sent != NULL || PyErr_Occurred()) {
            return sent;
        }
    }
    return uipc_call_twin(module, "msgsnd", args, count, names);
}

static inline int64_t receive(const struct uipc_wanted *wanted, struct uipc_message *message, int more) {
    return uipc_hot_msgrcv(wanted->msqid, message, wanted->msgsz, wanted->msgtyp, wanted->msgflg | more);
}

/* A processor that finds nothing else to do goes on at once, one that both processes share goes to the other. */
UIPC_HOT static int64_t receive_in_time(const struct uipc_wanted *wanted, struct uipc_message *message) {
    for (unsigned int i = 0; i < wanted->polls; i++) {
        sched_yield();
        const int64_t result = receive(wanted, message, IPC_NOWAIT);
        if (result != -ENOMSG) {
            return result;
        }
    }
    return receive(wanted, message, 0);
}

UIPC_HOT PyObject *uipc_receive_from_queue(PyObject *module, const struct uipc_wanted *wanted) {
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
    struct uipc_wanted wanted = {0};
    const enum patience waits = patience(args, count, names);
    if (count >= 2 && count <= 4 && waits != UNKNOWN && uipc_are_ints(args, 2, numbers) && numbers[1] >= 0 &&
        (count < 3 || uipc_as_int64(args[2], &wanted.msgtyp)) &&
        (count < 4 || uipc_are_ints(args + 3, 1, &wanted.msgflg)) && !(wanted.msgflg & MSG_COPY)) {
        wanted.msqid = numbers[0];
        wanted.msgsz = (size_t)numbers[1];
        wanted.waits = waits == FOR_EVER;
        PyObject *const received = uipc_receive_from_queue(module, &wanted);
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

/* Whether these are at most so many plain tuples of two or three numbers. The caller owns the sequence. */
static bool are_sops(PyObject *sequence, struct uipc_sembuf *sops, Py_ssize_t *nsops) {
    const bool is_tuple = PyTuple_Check(sequence);
    if (!is_tuple && !PyList_Check(sequence)) {
        return false;
    }
    *nsops = is_tuple ? PyTuple_Size(sequence) : PyList_Size(sequence);
    if (*nsops > UIPC_SOPS) {
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

UIPC_HOT int uipc_operate_later(PyObject *module, int semid, struct uipc_sembuf *sops, size_t nsops, int result) {
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

PyObject *uipc_semop_front(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    int semid;
    Py_ssize_t nsops;
    struct uipc_sembuf sops[UIPC_SOPS];
    if (count != 2 || names != NULL || !uipc_are_ints(args, 1, &semid) || !are_sops(args[1], sops, &nsops)) {
        return uipc_call_twin(module, "semop", args, count, names);
    }
    const int result = uipc_operate(module, semid, sops, (size_t)nsops, NULL);
    if (result >= 0) {
        Py_RETURN_NONE;
    }
    if (ended_for_good(result)) {
        uipc_raise_made(
            PyObject_CallFunction(uipc_module(module)->failure, "isOO", -result, "semop", args[0], args[1]));
    }
    return PyErr_Occurred() ? NULL : uipc_call_twin(module, "semop", args, count, names);
}
