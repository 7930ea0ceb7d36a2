/* What the files that know CPython's API share: the module unixipc._cpython, inside the shared object of
 * unixipc._native. Limited API of 3.11; the state is the module's, so that nothing here is static and mutable. */
#ifndef UNIXIPC_CPYTHON_H
#define UNIXIPC_CPYTHON_H

#include <Python.h>

struct uipc_module {
    PyObject *handlers; /* signum -> callable */
    PyObject *raw;      /* the type RawSiginfo */
    PyObject *siginfo;  /* the subclass of it that handlers get */
    PyObject *signal;   /* signal.signal */
    PyObject *memory;   /* the type Memory */
};

static inline struct uipc_module *uipc_module(PyObject *module) { return PyModule_GetState(module); }

/* Each adds its functions and types to the module: 0, or -1 with an exception. */
int uipc_add_dispatcher(PyObject *module);
int uipc_add_memory(PyObject *module);

/* The end of a tp_dealloc. */
static inline void uipc_free_object(PyObject *self) {
    PyTypeObject *const type = Py_TYPE(self);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

#endif
