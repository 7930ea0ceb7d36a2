/* The module unixipc._cpython: its state and its beginning. */
#include "cpython.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

PyDoc_STRVAR(use_doc,
             "use(name, thing, /)\n--\n\nGive the C what Python defines: Siginfo, SignalSet, from_mask, failure.");

static PyObject *use(PyObject *module, PyObject *args) {
    static const struct {
        const char *name;
        size_t offset;
    } places[] = {
        {"Siginfo", offsetof(struct uipc_module, siginfo)},
        {"SignalSet", offsetof(struct uipc_module, signal_set)},
        {"from_mask", offsetof(struct uipc_module, from_mask)},
        {"failure", offsetof(struct uipc_module, failure)},
    };
    const char *name;
    PyObject *thing;
    if (!PyArg_ParseTuple(args, "sO:use", &name, &thing)) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (strcmp(name, places[i].name) == 0) {
            PyObject **const place = (PyObject **)(void *)((char *)uipc_module(module) + places[i].offset);
            PyObject *const old = *place;
            Py_INCREF(thing);
            *place = thing;
            Py_XDECREF(old);
            Py_RETURN_NONE;
        }
    }
    return PyErr_Format(PyExc_ValueError, "the C has no use for %s", name);
}

static PyMethodDef functions[] = {
    {"use", use, METH_VARARGS, use_doc},
    {NULL, NULL, 0, NULL},
};

static int execute(PyObject *module) {
    const bool added = uipc_add_siginfo(module) == 0 && uipc_add_dispatcher(module) == 0 &&
                       uipc_add_memory(module) == 0 && uipc_add_fronts(module) == 0 && uipc_add_library(module) == 0 &&
                       uipc_add_semaphore(module) == 0 && uipc_add_methods(module) == 0 &&
                       uipc_add_restoring(module) == 0;
    return added ? PyModule_AddFunctions(module, functions) : -1;
}

static int traverse(PyObject *module, visitproc visit, void *arg) {
    struct uipc_module *const state = uipc_module(module);
    Py_VISIT(state->handlers);
    Py_VISIT(state->raw);
    Py_VISIT(state->signal);
    Py_VISIT(state->memory);
    Py_VISIT(state->library);
    Py_VISIT(state->semaphore);
    Py_VISIT(state->twins);
    Py_VISIT(state->siginfo);
    Py_VISIT(state->spare);
    Py_VISIT(state->signal_set);
    Py_VISIT(state->from_mask);
    Py_VISIT(state->waited_for);
    Py_VISIT(state->failure);
    Py_VISIT(state->fronted);
    Py_VISIT(state->twin_methods);
    Py_VISIT(state->method_fronts);
    return 0;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, execute},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "unixipc._cpython",
    .m_doc = "What unixipc writes against CPython's own API.",
    .m_size = sizeof(struct uipc_module),
    .m_slots = slots,
    .m_traverse = traverse,
};

PyMODINIT_FUNC PyInit__cpython(void);
PyMODINIT_FUNC PyInit__cpython(void) { return PyModuleDef_Init(&definition); }
