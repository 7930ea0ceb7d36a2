/* Fronts of the hot calls of libc/mqueue.py and libc/semaphore.py: first without waiting and with the GIL held, then as
 * the caller would wait. What the first try cannot do is left to the twin, for nothing has happened yet. */
#include "cpython_methods.h"

#include <limits.h>
#include <sched.h>

#define MSGSIZE 8192

/* What the front and that of the method do. NULL without an exception: it is the twin's. */
UIPC_INLINE PyObject *send_text(PyObject *module, int mqdes, PyObject *object, unsigned int prio) {
    struct uipc_text text;
    if (!uipc_text_of(object, &text)) {
        PyErr_Clear();
        return NULL;
    }
    int result = uipc_hot_mq_timedsend(mqdes, text.begin, text.size, prio, 0, 0);
    while (result == -ETIMEDOUT || result == -ERESTART) {
        if (result == -ERESTART && uipc_run_handlers(module) < 0) {
            break;
        }
        Py_BEGIN_ALLOW_THREADS;
        result = uipc_hot_mq_send(mqdes, text.begin, text.size, prio);
        Py_END_ALLOW_THREADS;
    }
    uipc_text_free(&text);
    if (result >= 0) {
        Py_RETURN_NONE;
    }
    if (result == -EINTR) {
        PyObject *const bytes = PyUnicode_FromFormat("%zu bytes", text.size);
        uipc_raise_made(
            PyObject_CallFunction(uipc_module(module)->failure, "isiNI", EINTR, "mq_send", mqdes, bytes, prio));
    }
    return NULL;
}

PyObject *uipc_mq_send_front(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    int mqdes;
    int prio = 0;
    if ((count == 2 || count == 3) && names == NULL && uipc_are_ints(args, 1, &mqdes) &&
        uipc_are_ints(args + 2, count - 2, &prio) && prio >= 0) {
        PyObject *const sent = send_text(module, mqdes, args[1], (unsigned int)prio);
        if (sent != NULL || PyErr_Occurred()) {
            return sent;
        }
    }
    return uipc_call_twin(module, "mq_send", args, count, names);
}

/* A time that has long passed, the int 0: whether the call can be made at once. */
static bool is_at_once(PyObject *abs_timeout) {
    int when;
    return uipc_are_ints(&abs_timeout, 1, &when) && when == 0;
}

PyObject *uipc_mq_timedsend_front(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    int mqdes;
    int prio;
    struct uipc_text text;
    if (count == 4 && names == NULL && uipc_are_ints(args, 1, &mqdes) && uipc_are_ints(args + 2, 1, &prio) &&
        prio >= 0 && is_at_once(args[3])) {
        if (uipc_text_of(args[1], &text)) {
            const int result = uipc_hot_mq_timedsend(mqdes, text.begin, text.size, (unsigned int)prio, 0, 0);
            uipc_text_free(&text);
            if (result >= 0) {
                Py_RETURN_NONE;
            }
        }
        PyErr_Clear();
    }
    return uipc_call_twin(module, "mq_timedsend", args, count, names);
}

PyObject *uipc_mq_timedreceive_front(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    int numbers[2]; /* mqdes, and the greatest length */
    unsigned int prio = 0;
    char text[MSGSIZE];
    if (count == 3 && names == NULL && uipc_are_ints(args, 2, numbers) && numbers[1] >= 0 && numbers[1] <= MSGSIZE &&
        is_at_once(args[2])) {
        const int64_t result = uipc_hot_mq_timedreceive(numbers[0], text, (size_t)numbers[1], &prio, 0, 0);
        if (result >= 0) {
            return uipc_pair(PyBytes_FromStringAndSize(text, (Py_ssize_t)result), PyLong_FromUnsignedLong(prio));
        }
    }
    return uipc_call_twin(module, "mq_timedreceive", args, count, names);
}

/* As in cpython_sysv.c: yielding, a processor that both processes share goes to the other. */
UIPC_HOT static int64_t receive_in_time(int mqdes, char *text, size_t size, unsigned int *prio, unsigned int polls) {
    for (unsigned int i = 0; i < polls; i++) {
        sched_yield();
        const int64_t result = uipc_hot_mq_timedreceive(mqdes, text, size, prio, 0, 0);
        if (result != -ETIMEDOUT) {
            return result;
        }
    }
    return uipc_hot_mq_receive(mqdes, text, size, prio);
}

UIPC_INLINE PyObject *receive_text(PyObject *module, int mqdes, size_t size, unsigned int polls,
                                   struct uipc_looks *looks) {
    unsigned int prio = 0;
    char text[MSGSIZE];
    if (size > sizeof text) {
        return NULL;
    }
    int64_t result = -ETIMEDOUT;
    if (uipc_looks_first(looks) && (result = uipc_hot_mq_timedreceive(mqdes, text, size, &prio, 0, 0)) == -ETIMEDOUT) {
        uipc_looked_in_vain(looks);
    }
    while (result == -ETIMEDOUT || result == -ERESTART) {
        if (result == -ERESTART && uipc_run_handlers(module) < 0) {
            return NULL;
        }
        Py_BEGIN_ALLOW_THREADS;
        result = receive_in_time(mqdes, text, size, &prio, polls);
        Py_END_ALLOW_THREADS;
    }
    if (result >= 0) {
        return uipc_pair(PyBytes_FromStringAndSize(text, (Py_ssize_t)result), PyLong_FromUnsignedLong(prio));
    }
    if (result == -EINTR) {
        uipc_raise_made(PyObject_CallFunction(uipc_module(module)->failure, "isi", EINTR, "mq_receive", mqdes));
    }
    return NULL;
}

PyObject *uipc_mq_receive_front(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    int numbers[2]; /* mqdes, and the greatest length */
    if (count == 2 && names == NULL && uipc_are_ints(args, 2, numbers) && numbers[1] >= 0) {
        PyObject *const received = receive_text(module, numbers[0], (size_t)numbers[1], 0, NULL);
        if (received != NULL || PyErr_Occurred()) {
            return received;
        }
    }
    return uipc_call_twin(module, "mq_receive", args, count, names);
}

/* -- several messages: the GIL is not held, for they take their time -- */

/* The last argument of a call: whether there is none, or None, or that it can be made at once. */
static bool is_plain_time(PyObject *const *args, Py_ssize_t count) {
    return count == 0 || args[0] == Py_None || is_at_once(args[0]);
}

static const int64_t *until_of(PyObject *const *args, Py_ssize_t count) {
    static const int64_t at_once[2] = {0, 0};
    return count == 0 || args[0] == Py_None ? NULL : at_once;
}

static bool are_priorities(const struct uipc_batch *batch) {
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->numbers[i] < 0 || batch->numbers[i] > UINT_MAX) {
            return false;
        }
    }
    return true;
}

PyObject *uipc_mq_send_many_front(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    int mqdes;
    int64_t result;
    struct uipc_batch batch = {0};
    if ((count != 2 && count != 3) || names != NULL || !is_plain_time(args + 2, count - 2) ||
        !uipc_are_ints(args, 1, &mqdes) || !uipc_batch_of(args[1], 0, &batch) || !are_priorities(&batch)) {
        uipc_batch_free(&batch);
        return PyErr_Occurred() ? NULL : uipc_call_twin(module, "mq_send_many", args, count, names);
    }
    const int64_t *const until = until_of(args + 2, count - 2);
    do {
        Py_BEGIN_ALLOW_THREADS;
        result = uipc_mq_send_many(mqdes, batch.numbers, batch.sizes, batch.texts, batch.count, until);
        Py_END_ALLOW_THREADS;
    } while (result == -ERESTART && uipc_run_handlers(module) == 0);
    uipc_batch_free(&batch);
    if (result >= 0) {
        return PyLong_FromLongLong(result);
    }
    if (result == -EINTR) {
        PyObject *const subject = PyUnicode_FromFormat("%zu messages", batch.count);
        uipc_raise_made(
            PyObject_CallFunction(uipc_module(module)->failure, "isON", EINTR, "mq_send", args[0], subject));
    }
    return PyErr_Occurred() ? NULL : uipc_call_twin(module, "mq_send_many", args, count, names);
}

PyObject *uipc_mq_receive_many_front(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    int numbers[3]; /* mqdes, msgsize, count */
    int64_t result;
    struct uipc_batch batch = {0};
    if ((count != 3 && count != 4) || names != NULL || !is_plain_time(args + 3, count - 3) ||
        !uipc_are_ints(args, 3, numbers) || numbers[1] < 0 || numbers[1] > MSGSIZE || numbers[2] < 0) {
        return uipc_call_twin(module, "mq_receive_many", args, count, names);
    }
    const int64_t *const until = until_of(args + 3, count - 3);
    const size_t size = (size_t)numbers[1];
    const size_t most = numbers[2] < UIPC_AT_ONCE ? (size_t)numbers[2] : UIPC_AT_ONCE;
    const size_t room = most * size < UIPC_ROOM ? most * size : UIPC_ROOM;
    if (!uipc_batch_new(&batch, most, room)) {
        uipc_batch_free(&batch);
        return PyErr_NoMemory();
    }
    do {
        Py_BEGIN_ALLOW_THREADS;
        result = uipc_mq_receive_many(numbers[0], batch.numbers, batch.sizes, batch.texts, room, most, size, until);
        Py_END_ALLOW_THREADS;
    } while (result == -ERESTART && uipc_run_handlers(module) == 0);
    PyObject *const list = result >= 0 ? uipc_batch_list(&batch, (size_t)result, 0) : NULL;
    uipc_batch_free(&batch);
    if (result >= 0) {
        return list;
    }
    if (result == -EINTR) {
        uipc_raise_made(PyObject_CallFunction(uipc_module(module)->failure, "isO", EINTR, "mq_receive", args[0]));
    }
    return PyErr_Occurred() ? NULL : uipc_call_twin(module, "mq_receive_many", args, count, names);
}

/* -- semaphores -- */

/* Take one off its value, at once or after a wait: 0, or -errno, of which what is not an exception is the twin's. */
static int acquire(PyObject *module, PyObject *object) {
    uint64_t address;
    int result = uipc_is_open_semaphore(module, object, &address) ? uipc_sem_trywait(address) : -EINVAL;
    while (result == -EAGAIN || result == -ERESTART) {
        if (result == -ERESTART && uipc_run_handlers(module) < 0) {
            return result;
        }
        result = uipc_is_open_semaphore(module, object, &address) ? uipc_wait_for_semaphore(object) : -EINVAL;
    }
    if (result == -EINTR) {
        uipc_raise_made(PyObject_CallFunction(uipc_module(module)->failure, "isO", EINTR, "sem_wait", object));
    }
    return result;
}

PyObject *uipc_sem_wait_front(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    if (count == 1 && names == NULL) {
        if (acquire(module, args[0]) == 0) {
            Py_RETURN_NONE;
        }
        if (PyErr_Occurred()) {
            return NULL;
        }
    }
    return uipc_call_twin(module, "sem_wait", args, count, names);
}

PyObject *uipc_sem_trywait_front(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    uint64_t address;
    if (count == 1 && names == NULL && uipc_is_open_semaphore(module, args[0], &address) &&
        uipc_sem_trywait(address) == 0) {
        Py_RETURN_NONE;
    }
    return uipc_call_twin(module, "sem_trywait", args, count, names);
}

PyObject *uipc_sem_post_front(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    uint64_t address;
    if (count == 1 && names == NULL && uipc_is_open_semaphore(module, args[0], &address) &&
        uipc_sem_post(address) == 0) {
        Py_RETURN_NONE;
    }
    return uipc_call_twin(module, "sem_post", args, count, names);
}

/* -- methods -- */

UIPC_HOT PyObject *uipc_posix_send(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    struct uipc_fronted *const queue = uipc_fronted_of(self);
    int mqdes;
    int priority = 0;
    if (uipc_has_descriptor(queue, &mqdes) && count >= 1 && uipc_waits_for_ever(args, count, 2, names) &&
        (count == 1 || (uipc_are_ints(args + 1, 1, &priority) && priority >= 0))) {
        PyObject *const sent = send_text(uipc_module_of(self), mqdes, args[0], (unsigned int)priority);
        if (sent != NULL || (PyErr_Occurred() && !uipc_goes_on(self))) {
            return sent;
        }
    }
    return uipc_call_method_twin(POSIX_SEND, self, args, count, names);
}

UIPC_HOT PyObject *uipc_posix_receive(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    struct uipc_fronted *const queue = uipc_fronted_of(self);
    int mqdes;
    size_t size;
    if (uipc_has_descriptor(queue, &mqdes) && uipc_has_size(queue, &size) &&
        uipc_waits_for_ever(args, count, 0, names)) {
        PyObject *const received = receive_text(uipc_module_of(self), mqdes, size, uipc_polls_of(queue), &queue->looks);
        if (received != NULL || (PyErr_Occurred() && !uipc_goes_on(self))) {
            return received;
        }
    }
    return uipc_call_method_twin(POSIX_RECEIVE, self, args, count, names);
}

PyObject *uipc_posix_receive_many(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    struct uipc_fronted *const queue = uipc_fronted_of(self);
    int mqdes;
    if (uipc_has_descriptor(queue, &mqdes) && queue->size != NULL && uipc_is_plain_count(queue, args, count, names)) {
        PyObject *const args_of_call[] = {Py_NewRef(queue->fd), Py_NewRef(queue->size), args[0]};
        PyObject *const received = uipc_mq_receive_many_front(uipc_module_of(self), args_of_call, 3, NULL);
        Py_DECREF(args_of_call[0]);
        Py_DECREF(args_of_call[1]);
        if (received != NULL || !uipc_goes_on(self)) {
            return received;
        }
    }
    return uipc_call_method_twin(POSIX_RECEIVE_MANY, self, args, count, names);
}

UIPC_HOT PyObject *uipc_posix_acquire(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    PyObject *const sem = uipc_fronted_of(self)->sem;
    if (sem != NULL && count == 0 && uipc_waits_for_ever(args, count, 0, names)) {
        Py_INCREF(sem); /* close() lets go of it */
        const int result = acquire(uipc_module_of(self), sem);
        Py_DECREF(sem);
        if (result == 0 || (PyErr_Occurred() && !uipc_goes_on(self))) {
            return result == 0 ? Py_NewRef(Py_None) : NULL;
        }
    }
    return uipc_call_method_twin(POSIX_ACQUIRE, self, args, count, names);
}

UIPC_HOT PyObject *uipc_posix_release(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    uint64_t address;
    if (count == 0 && names == NULL &&
        uipc_is_open_semaphore(uipc_module_of(self), uipc_fronted_of(self)->sem, &address) &&
        uipc_sem_post(address) == 0) {
        Py_RETURN_NONE;
    }
    return uipc_call_method_twin(POSIX_RELEASE, self, args, count, names);
}
