/* What fronts are made of: plain arguments, their twins, and their definitions. */
#include "cpython.h"

#include <string.h>

/* Call a function with the arguments of a METH_FASTCALL | METH_KEYWORDS, after `self` unless that is NULL. */
PyObject *uipc_call(PyObject *function, PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    const Py_ssize_t first = self == NULL ? 0 : 1;
    PyObject *const positional = PyTuple_New(first + count);
    PyObject *keywords = NULL;
    PyObject *result = NULL;
    if (positional == NULL || (names != NULL && (keywords = PyDict_New()) == NULL)) {
        goto done;
    }
    if (self != NULL) {
        Py_INCREF(self);
        PyTuple_SetItem(positional, 0, self);
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_INCREF(args[i]);
        PyTuple_SetItem(positional, first + i, args[i]);
    }
    for (Py_ssize_t i = 0; names != NULL && i < PyTuple_Size(names); i++) {
        if (PyDict_SetItem(keywords, PyTuple_GetItem(names, i), args[count + i]) < 0) {
            goto done;
        }
    }
    result = PyObject_Call(function, positional, keywords);
done:
    Py_XDECREF(positional);
    Py_XDECREF(keywords);
    return result;
}

PyObject *uipc_call_twin(PyObject *module, const char *name, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    return uipc_call(PyDict_GetItemString(uipc_module(module)->twins, name), NULL, args, count, names);
}

UIPC_HOT bool uipc_text_of(PyObject *object, struct uipc_text *text) {
    text->view.obj = NULL;
    if (PyBytes_CheckExact(object)) {
        char *begin;
        Py_ssize_t size;
        if (PyBytes_AsStringAndSize(object, &begin, &size) < 0) {
            return false;
        }
        text->begin = begin;
        text->size = (size_t)size;
        return true;
    }
    if (PyObject_GetBuffer(object, &text->view, PyBUF_SIMPLE) < 0) {
        return false;
    }
    text->begin = text->view.buf;
    text->size = (size_t)text->view.len;
    return true;
}

void uipc_raise_made(PyObject *exception) {
    if (exception != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
        Py_DECREF(exception);
    }
}

PyMethodDef *uipc_define(const char *name, const char *signature, PyCFunction function, int flags, PyObject *twin) {
    PyMethodDef *definition = NULL;
    PyObject *const doc = PyObject_GetAttrString(twin, "__doc__");
    PyObject *const whole = doc == NULL ? NULL : PyUnicode_FromFormat("%s\n--\n\n%S", signature, doc);
    Py_ssize_t length;
    const char *const text = whole == NULL ? NULL : PyUnicode_AsUTF8AndSize(whole, &length);
    if (text != NULL && (definition = PyMem_Malloc(sizeof *definition + (size_t)length + 1)) != NULL) {
        char *const copy = (char *)(definition + 1);
        memcpy(copy, text, (size_t)length + 1);
        definition->ml_name = name;
        definition->ml_meth = function;
        definition->ml_flags = flags;
        definition->ml_doc = copy;
    }
    Py_XDECREF(doc);
    Py_XDECREF(whole);
    return definition;
}
