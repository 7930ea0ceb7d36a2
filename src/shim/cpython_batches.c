/* Several messages at once, between lists of Python and arrays of C: pairs of a text and a number, its type in a System
 * V queue and its priority in a POSIX one. */
#include "cpython.h"

#include <string.h>

bool uipc_as_int64(PyObject *object, int64_t *number) {
    int overflow = 1;
    *number = PyLong_Check(object) ? PyLong_AsLongLongAndOverflow(object, &overflow) : 0;
    return overflow == 0;
}

static bool has_places(struct uipc_batch *batch, size_t count) {
    batch->count = count;
    batch->numbers = PyMem_Calloc(count + 1, sizeof *batch->numbers);
    batch->sizes = PyMem_Calloc(count + 1, sizeof *batch->sizes);
    return batch->numbers != NULL && batch->sizes != NULL;
}

static bool has_room(struct uipc_batch *batch, size_t room) {
    batch->texts = PyMem_Malloc(room + 1);
    return batch->texts != NULL;
}

bool uipc_batch_new(struct uipc_batch *batch, size_t count, size_t room) {
    return has_places(batch, count) && has_room(batch, room);
}

void uipc_batch_free(struct uipc_batch *batch) {
    PyMem_Free(batch->numbers);
    PyMem_Free(batch->sizes);
    PyMem_Free(batch->texts);
}

/* The text of a message that is a plain tuple of int and bytes, and its number; NULL of anything else. */
static PyObject *text_of(PyObject *message, int text_at, int64_t *number) {
    if (!PyTuple_Check(message) || PyTuple_Size(message) != 2) {
        return NULL;
    }
    PyObject *const text = PyTuple_GetItem(message, text_at);
    return PyBytes_Check(text) && uipc_as_int64(PyTuple_GetItem(message, 1 - text_at), number) ? text : NULL;
}

/* No Python code runs in here that could change the list. */
bool uipc_batch_of(PyObject *messages, int text_at, struct uipc_batch *batch) {
    const Py_ssize_t count = PyList_CheckExact(messages) ? PyList_Size(messages) : -1;
    size_t room = 0;
    if (count < 0) {
        return false;
    }
    if (!has_places(batch, (size_t)count)) {
        return PyErr_NoMemory(), false;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *const text = text_of(PyList_GetItem(messages, i), text_at, &batch->numbers[i]);
        if (text == NULL) {
            return false;
        }
        batch->sizes[i] = (size_t)PyBytes_Size(text);
        room += batch->sizes[i];
    }
    if (!has_room(batch, room)) {
        return PyErr_NoMemory(), false;
    }
    char *place = batch->texts;
    for (Py_ssize_t i = 0; i < count; i++) {
        memcpy(place, PyBytes_AsString(PyTuple_GetItem(PyList_GetItem(messages, i), text_at)), batch->sizes[i]);
        place += batch->sizes[i];
    }
    return true;
}

UIPC_HOT PyObject *uipc_pair(PyObject *first, PyObject *second) {
    PyObject *const pair = first == NULL || second == NULL ? NULL : PyTuple_New(2);
    if (pair == NULL) {
        Py_XDECREF(first);
        Py_XDECREF(second);
        return NULL;
    }
    PyTuple_SetItem(pair, 0, first);
    PyTuple_SetItem(pair, 1, second);
    return pair;
}

PyObject *uipc_batch_list(const struct uipc_batch *batch, size_t received, int text_at) {
    const char *text = batch->texts;
    PyObject *const list = PyList_New((Py_ssize_t)received);
    for (size_t i = 0; list != NULL && i < received; i++) {
        PyObject *const bytes = PyBytes_FromStringAndSize(text, (Py_ssize_t)batch->sizes[i]);
        PyObject *const number = PyLong_FromLongLong(batch->numbers[i]);
        PyObject *const message = text_at == 0 ? uipc_pair(bytes, number) : uipc_pair(number, bytes);
        if (message == NULL) {
            Py_DECREF(list);
            return NULL;
        }
        PyList_SetItem(list, (Py_ssize_t)i, message);
        text += batch->sizes[i];
    }
    return list;
}
