/* Several messages at once, between lists of Python and arrays of C: pairs of a text and a number, its type in a System
 * V queue and its priority in a POSIX one. */
#include "cpython.h"

#include <string.h>

bool uipc_as_int64(PyObject *object, int64_t *number) {
    int overflow = 1;
    *number = PyLong_Check(object) ? PyLong_AsLongLongAndOverflow(object, &overflow) : 0;
    return overflow == 0;
}

bool uipc_batch_new(struct uipc_batch *batch, size_t count, size_t room) {
    batch->count = count;
    batch->numbers = PyMem_Calloc(count + 1, sizeof *batch->numbers);
    batch->sizes = PyMem_Calloc(count + 1, sizeof *batch->sizes);
    batch->texts = PyMem_Malloc(room + 1);
    return batch->numbers != NULL && batch->sizes != NULL && batch->texts != NULL;
}

void uipc_batch_free(struct uipc_batch *batch) {
    PyMem_Free(batch->numbers);
    PyMem_Free(batch->sizes);
    PyMem_Free(batch->texts);
}

/* The number and the text of a message that is a plain tuple of int and bytes. */
static bool is_message(PyObject *message, int text_at, int64_t *number, char **text, Py_ssize_t *size) {
    if (!PyTuple_Check(message) || PyTuple_Size(message) != 2 ||
        !uipc_as_int64(PyTuple_GetItem(message, 1 - text_at), number) ||
        !PyBytes_Check(PyTuple_GetItem(message, text_at))) {
        return false;
    }
    PyBytes_AsStringAndSize(PyTuple_GetItem(message, text_at), text, size);
    return true;
}

bool uipc_batch_of(PyObject *messages, int text_at, struct uipc_batch *batch) {
    const Py_ssize_t count = PyList_CheckExact(messages) ? PyList_Size(messages) : -1;
    size_t room = 0;
    size_t used = 0;
    int64_t number;
    char *text;
    Py_ssize_t size;
    for (Py_ssize_t i = 0; i < count; i++) {
        if (!is_message(PyList_GetItem(messages, i), text_at, &number, &text, &size)) {
            return false;
        }
        room += (size_t)size;
    }
    if (count < 0 || !uipc_batch_new(batch, (size_t)count, room)) {
        return count < 0 ? false : (PyErr_NoMemory(), false);
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        is_message(PyList_GetItem(messages, i), text_at, &batch->numbers[i], &text, &size);
        batch->sizes[i] = (size_t)size;
        memcpy(batch->texts + used, text, (size_t)size);
        used += (size_t)size;
    }
    return true;
}

static PyObject *pair(PyObject *text, PyObject *number, int text_at) {
    PyObject *const made = text == NULL || number == NULL ? NULL : PyTuple_New(2);
    if (made == NULL) {
        Py_XDECREF(text);
        Py_XDECREF(number);
        return NULL;
    }
    PyTuple_SetItem(made, text_at, text);
    PyTuple_SetItem(made, 1 - text_at, number);
    return made;
}

PyObject *uipc_batch_list(const struct uipc_batch *batch, size_t received, int text_at) {
    const char *text = batch->texts;
    PyObject *const list = PyList_New((Py_ssize_t)received);
    for (size_t i = 0; list != NULL && i < received; i++) {
        PyObject *const message = pair(PyBytes_FromStringAndSize(text, (Py_ssize_t)batch->sizes[i]),
                                       PyLong_FromLongLong(batch->numbers[i]), text_at);
        if (message == NULL) {
            Py_DECREF(list);
            return NULL;
        }
        PyList_SetItem(list, (Py_ssize_t)i, message);
        text += batch->sizes[i];
    }
    return list;
}
