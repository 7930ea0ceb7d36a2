/* The module unixipc._cpython: its state and its beginning. */
#include "cpython.h"

static int execute(PyObject *module) { return uipc_add_dispatcher(module) < 0 || uipc_add_memory(module) < 0 ? -1 : 0; }

static int traverse(PyObject *module, visitproc visit, void *arg) {
    struct uipc_module *const state = uipc_module(module);
    Py_VISIT(state->handlers);
    Py_VISIT(state->raw);
    Py_VISIT(state->siginfo);
    Py_VISIT(state->signal);
    Py_VISIT(state->memory);
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
