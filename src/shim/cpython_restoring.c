/* The base of with-blocks that put back what they have changed, whatever handlers raise meanwhile.
 *
 * A function in Python may end before its first line, by the exception of a signal's handler, and a generator is only
 * resumed by such a function: an __exit__ of either kind can be left out altogether. One in C cannot; it calls the
 * method that does the work once more where that has raised. */
#include "cpython.h"

enum { UIPC_TRIES = 3 }; /* two handlers in a row that raise; what can never be put back says so soon */

/* Take the exception that is set, with the earlier one as its context; the same again is told once. */
static PyObject *joined(PyObject *earlier) {
    PyObject *type;
    PyObject *value;
    PyObject *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL) {
        PyException_SetTraceback(value, traceback);
    }
    const bool is_again = earlier != NULL && Py_TYPE(earlier) == Py_TYPE(value);
    if (earlier != NULL && !is_again) {
        PyException_SetContext(value, Py_NewRef(earlier));
    }
    PyObject *const whole = Py_NewRef(is_again ? earlier : value);
    Py_XDECREF(earlier);
    Py_DECREF(value);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return whole;
}

static PyObject *restoring_exit(PyObject *self, PyTypeObject *type, PyObject *const *args, Py_ssize_t count,
                                PyObject *names) {
    (void)args, (void)count, (void)names;
    PyObject *const restore = uipc_module(PyType_GetModule(type))->restore;
    PyObject *raised = NULL;
    bool is_restored = false;
    for (int tries = 0; tries < UIPC_TRIES && !is_restored; tries++) {
        PyObject *const result = PyObject_CallMethodObjArgs(self, restore, NULL);
        is_restored = result != NULL;
        if (!is_restored) {
            raised = joined(raised);
        }
        Py_XDECREF(result);
    }
    if (raised != NULL) {
        PyErr_Restore(Py_NewRef((PyObject *)Py_TYPE(raised)), raised, PyException_GetTraceback(raised));
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"__exit__", (PyCFunction)(void (*)(void))restoring_exit, METH_METHOD | METH_FASTCALL | METH_KEYWORDS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot restoring_slots[] = {
    {Py_tp_doc, "A with-block whose end calls `_restore`, which may be called again, until it does not raise."},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec restoring_spec = {
    .name = "unixipc._cpython.Restoring",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = restoring_slots,
};

int uipc_add_restoring(PyObject *module) {
    PyObject *const restoring = PyType_FromModuleAndSpec(module, &restoring_spec, NULL);
    PyObject *const restore = PyUnicode_InternFromString("_restore");
    uipc_module(module)->restore = restore;
    const int result =
        restoring == NULL || restore == NULL ? -1 : PyModule_AddObjectRef(module, "Restoring", restoring);
    Py_XDECREF(restoring);
    return result;
}
