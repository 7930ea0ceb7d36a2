/* Fronts of the hot calls of libc/pipes.py: they wait without the GIL, as what can tell whether it would wait costs
 * more. An error is told here, but for EAGAIN: the call must not be made again, for a second SIGPIPE would come of it.
 */
#include "cpython_methods.h"

#define SMALL 4096 /* bytes that are copied sooner than a whole object is made for what may be less */

static void raise_error(PyObject *module, int64_t result, const char *call, int fd) {
    if (result != -EAGAIN && result != -ERESTART) {
        uipc_raise_made(PyObject_CallFunction(uipc_module(module)->failure, "isi", (int)-result, call, fd));
    }
}

static int64_t read_into(PyObject *module, int fd, char *buffer, size_t count) {
    int64_t result;
    do {
        Py_BEGIN_ALLOW_THREADS;
        result = uipc_read(fd, buffer, count, NULL);
        Py_END_ALLOW_THREADS;
    } while (result == -ERESTART && uipc_run_handlers(module) == 0);
    return result;
}

/* NULL, or a negative number, without an exception: it is the twin's. */
UIPC_HOT static PyObject *read_bytes(PyObject *module, int fd, size_t count) {
    char small[SMALL];
    PyObject *const whole = count <= sizeof small ? NULL : PyBytes_FromStringAndSize(NULL, (Py_ssize_t)count);
    if (whole == NULL && count > sizeof small) {
        return NULL;
    }
    char *const buffer = whole == NULL ? small : PyBytes_AsString(whole);
    const int64_t length = read_into(module, fd, buffer, count);
    if (length == (int64_t)count && whole != NULL) {
        return whole;
    }
    PyObject *const made = length < 0 ? NULL : PyBytes_FromStringAndSize(buffer, (Py_ssize_t)length);
    Py_XDECREF(whole);
    if (length < 0) {
        raise_error(module, length, "read", fd);
    }
    return made;
}

PyObject *uipc_read_front(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    int numbers[2]; /* fd, count */
    if (count == 2 && names == NULL && uipc_are_ints(args, 2, numbers) && numbers[1] >= 0) {
        PyObject *const made = read_bytes(module, numbers[0], (size_t)numbers[1]);
        if (made != NULL || PyErr_Occurred()) {
            return made;
        }
    }
    return uipc_call_twin(module, "read", args, count, names);
}

UIPC_HOT static int64_t write_text(PyObject *module, int fd, const struct uipc_text *text) {
    int64_t result;
    do {
        Py_BEGIN_ALLOW_THREADS;
        result = uipc_write(fd, text->begin, text->size, NULL);
        Py_END_ALLOW_THREADS;
    } while (result == -ERESTART && uipc_run_handlers(module) == 0);
    if (result < 0) {
        raise_error(module, result, "write", fd);
    }
    return result;
}

PyObject *uipc_write_front(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    int fd;
    struct uipc_text text;
    if (count == 2 && names == NULL && uipc_are_ints(args, 1, &fd)) {
        if (uipc_text_of(args[1], &text)) {
            const int64_t written = write_text(module, fd, &text);
            uipc_text_free(&text);
            if (written >= 0 || PyErr_Occurred()) {
                return written < 0 ? NULL : PyLong_FromLongLong(written);
            }
        }
        PyErr_Clear();
    }
    return uipc_call_twin(module, "write", args, count, names);
}

/* -- methods -- */

#define PIPE_USUAL 65536 /* bytes that are read unless told otherwise, and at most: see the twin */

UIPC_HOT PyObject *uipc_pipe_read(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    struct uipc_fronted *const end = uipc_fronted_of(self);
    int fd;
    int size = PIPE_USUAL;
    if (uipc_has_descriptor(end, &fd) && end->packets == Py_False && uipc_waits_for_ever(args, count, 1, names) &&
        (count == 0 || uipc_are_ints(args, 1, &size)) && size >= 0 && size <= PIPE_USUAL) {
        PyObject *const read = read_bytes(uipc_module_of(self), fd, (size_t)size);
        if (read != NULL || (PyErr_Occurred() && !uipc_was_error(EINTR))) {
            return read;
        }
    }
    return uipc_call_method_twin(PIPE_READ, self, args, count, names);
}

/* Only what goes in whole or not at all: of the rest nobody would know how much of it had gone. */
UIPC_HOT PyObject *uipc_pipe_write(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    struct uipc_fronted *const end = uipc_fronted_of(self);
    int fd;
    struct uipc_text text;
    if (!uipc_has_descriptor(end, &fd) || end->packets != Py_False || count == 0 ||
        !uipc_waits_for_ever(args, count, 1, names) || !uipc_text_of(args[0], &text)) {
        PyErr_Clear();
        return uipc_call_method_twin(PIPE_WRITE, self, args, count, names);
    }
    const bool is_whole = text.size > 0 && text.size <= PIPE_BUF;
    const Py_ssize_t size = (Py_ssize_t)text.size;
    const int64_t written = is_whole ? write_text(uipc_module_of(self), fd, &text) : -EAGAIN;
    uipc_text_free(&text);
    if (written == size) {
        Py_RETURN_NONE;
    }
    if (uipc_was_error(EPIPE)) {
        PyObject *const error =
            PyObject_CallFunction(uipc_module(uipc_module_of(self))->failure, "isi", EPIPE, "write", fd);
        PyObject *const told =
            error == NULL ? NULL : PyObject_CallMethod(self, "_tell", "OinO", error, 0, size, Py_None);
        Py_XDECREF(error);
        return told;
    }
    return PyErr_Occurred() && !uipc_was_error(EINTR) ? NULL
                                                      : uipc_call_method_twin(PIPE_WRITE, self, args, count, names);
}
