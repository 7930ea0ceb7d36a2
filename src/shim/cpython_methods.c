/* The base of the objects whose hot methods have fronts, and how these become methods. */
#include "cpython_methods.h"

#include <stddef.h>
#include <structmember.h>

static void fronted_dealloc(PyObject *self);

/* The type Fronted, which all objects have below theirs, knows it; and it lasts longer than they. */
PyObject *uipc_find_module(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    while ((destructor)PyType_GetSlot(type, Py_tp_dealloc) != fronted_dealloc) {
        type = PyType_GetSlot(type, Py_tp_base);
    }
    uipc_fronted_of(self)->module = PyType_GetModule(type);
    return uipc_fronted_of(self)->module;
}

PyObject *uipc_call_method_twin(const char *name, PyObject *self, PyObject *const *args, Py_ssize_t count,
                                PyObject *names) {
    PyObject *const twins = uipc_module(uipc_module_of(self))->twin_methods;
    return uipc_call(PyDict_GetItemString(twins, name), self, args, count, names);
}

bool uipc_was_error(int error) {
    PyObject *type;
    PyObject *value;
    PyObject *traceback;
    int number = 0;
    if (!PyErr_Occurred() || !PyErr_ExceptionMatches(PyExc_OSError)) {
        return false;
    }
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    PyObject *const code = PyObject_GetAttrString(value, "errno");
    const bool is_it = code != NULL && uipc_are_ints(&code, 1, &number) && number == error;
    Py_XDECREF(code);
    if (is_it) {
        Py_XDECREF(type);
        Py_XDECREF(value);
        Py_XDECREF(traceback);
    } else {
        PyErr_Restore(type, value, traceback);
    }
    return is_it;
}

bool uipc_goes_on(PyObject *self) {
    PyObject *type;
    PyObject *value;
    PyObject *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *const resumes = PyObject_GetAttrString(self, "resumes");
    const bool is_wanted = resumes != NULL && PyObject_IsTrue(resumes) == 1;
    Py_XDECREF(resumes);
    PyErr_Restore(type, value, traceback);
    return is_wanted && uipc_was_error(EINTR);
}

/* -- the fronts as methods -- */

static const struct {
    const char *twin; /* its module and qualified name */
    const char *name;
    const char *signature;
    uipc_method *function;
} fronts[] = {
    {SYSV_SEND, "send", "send($self, text, mtype=1, timeout=None)", uipc_sysv_send},
    {SYSV_RECEIVE, "receive",
     "receive($self, mtype=None, *, up_to=None, other_than=None, max_size=None, truncate=False, timeout=None)",
     uipc_sysv_receive},
    {SYSV_RECEIVE_MANY, "receive_many",
     "receive_many($self, count, mtype=None, *, up_to=None, other_than=None, timeout=None)", uipc_sysv_receive_many},
    {SYSV_ACQUIRE, "acquire", "acquire($self, count=1, *, undo=False, timeout=None)", uipc_sysv_acquire},
    {SYSV_RELEASE, "release", "release($self, count=1, *, undo=False)", uipc_sysv_release},
    {SYSV_OPERATE, "operate", "operate($self, *operations, undo=False, timeout=None)", uipc_sysv_operate},
    {POSIX_SEND, "send", "send($self, text, priority=0, timeout=None)", uipc_posix_send},
    {POSIX_RECEIVE, "receive", "receive($self, timeout=None)", uipc_posix_receive},
    {POSIX_RECEIVE_MANY, "receive_many", "receive_many($self, count, timeout=None)", uipc_posix_receive_many},
    {POSIX_ACQUIRE, "acquire", "acquire($self, *, timeout=None)", uipc_posix_acquire},
    {POSIX_RELEASE, "release", "release($self)", uipc_posix_release},
    {PIPE_READ, "read", "read($self, size=65536, timeout=None)", uipc_pipe_read},
    {PIPE_WRITE, "write", "write($self, data, timeout=None)", uipc_pipe_write},
};

/* The twin stays in its place until there is a class, whose own method the front is then: pickles find it there, and
 * the interpreter calls a method of C fastest on objects of the very class that it was made for. */
PyObject *uipc_method_front(PyObject *module, PyObject *twin, PyObject *qualname) {
    PyObject *made = NULL;
    PyObject *const owner = PyObject_GetAttrString(twin, "__module__");
    PyObject *const name = owner == NULL ? NULL : PyUnicode_FromFormat("%S.%S", owner, qualname);
    for (size_t i = 0; name != NULL && i < sizeof fronts / sizeof fronts[0]; i++) {
        if (PyUnicode_CompareWithASCIIString(name, fronts[i].twin) == 0 &&
            PyDict_SetItem(uipc_module(module)->twin_methods, name, twin) == 0) {
            made = Py_NewRef(twin);
        }
    }
    Py_XDECREF(owner);
    Py_XDECREF(name);
    return made;
}

/* Put the front of a twin in its place, in this class. */
static int put_front(struct uipc_module *state, PyTypeObject *cls, size_t number, PyObject *twin) {
    PyMethodDef *const definition =
        uipc_define(fronts[number].name, fronts[number].signature, (PyCFunction)(void (*)(void))fronts[number].function,
                    METH_FASTCALL | METH_KEYWORDS, twin);
    PyObject *const front = definition == NULL ? NULL : PyDescr_NewMethod(cls, definition);
    const bool is_put = front != NULL && PyDict_SetItem(state->method_fronts, front, twin) == 0 &&
                        PyObject_SetAttrString((PyObject *)cls, fronts[number].name, front) == 0;
    Py_XDECREF(front);
    return is_put ? 0 : -1;
}

/* What a class has as twins, of its own or of a base that is not Fronted, become fronts; subclasses inherit these. */
static PyObject *fronted_init_subclass(PyObject *cls, PyTypeObject *type, PyObject *const *args, Py_ssize_t count,
                                       PyObject *names) {
    struct uipc_module *const state = uipc_module(PyType_GetModule(type));
    for (size_t i = 0; i < sizeof fronts / sizeof fronts[0]; i++) {
        PyObject *const twin = PyDict_GetItemString(state->twin_methods, fronts[i].twin);
        PyObject *const there = twin == NULL ? NULL : PyObject_GetAttrString(cls, fronts[i].name);
        const bool is_twin = there != NULL && there == twin;
        Py_XDECREF(there);
        if (is_twin && put_front(state, (PyTypeObject *)(void *)cls, i, twin) < 0) {
            return NULL;
        }
        PyErr_Clear();
    }
    PyObject *const next = PyObject_CallFunction((PyObject *)&PySuper_Type, "OO", type, cls);
    PyObject *const told = next == NULL ? NULL : PyObject_GetAttrString(next, "__init_subclass__");
    PyObject *const result = told == NULL ? NULL : uipc_call(told, NULL, args, count, names);
    Py_XDECREF(next);
    Py_XDECREF(told);
    return result;
}

/* -- the type -- */

static PyMemberDef members[] = {
    {"_id", T_OBJECT_EX, offsetof(struct uipc_fronted, id), 0, NULL},
    {"_closed", T_OBJECT_EX, offsetof(struct uipc_fronted, closed), 0, NULL},
    {"_size", T_OBJECT_EX, offsetof(struct uipc_fronted, size), 0, NULL},
    {"_number", T_OBJECT_EX, offsetof(struct uipc_fronted, number), 0, NULL},
    {"_fd", T_OBJECT_EX, offsetof(struct uipc_fronted, fd), 0, NULL},
    {"_sem", T_OBJECT_EX, offsetof(struct uipc_fronted, sem), 0, NULL},
    {"_polls", T_OBJECT_EX, offsetof(struct uipc_fronted, polls), 0, NULL},
    {"_packets", T_OBJECT_EX, offsetof(struct uipc_fronted, packets), 0, NULL},
    {"_name", T_OBJECT_EX, offsetof(struct uipc_fronted, name), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyObject **place_of(PyObject *self, const PyMemberDef *member) {
    return (PyObject **)(void *)((char *)self + member->offset);
}

static int fronted_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    for (const PyMemberDef *member = members; member->name != NULL; member++) {
        Py_VISIT(*place_of(self, member));
    }
    return 0;
}

static int fronted_clear(PyObject *self) {
    for (const PyMemberDef *member = members; member->name != NULL; member++) {
        Py_CLEAR(*place_of(self, member));
    }
    return 0;
}

static void fronted_dealloc(PyObject *self) {
    struct uipc_fronted *const object = uipc_fronted_of(self);
    struct uipc_known *const known[] = {&object->known_id, &object->known_size, &object->known_number,
                                        &object->known_fd};
    PyObject_GC_UnTrack(self);
    fronted_clear(self);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        Py_CLEAR(known[i]->object);
    }
    uipc_free_object(self);
}

/* What pickling and copying keep: what they would of any object, and the members, as if they were its __slots__. */
static PyObject *fronted_getstate(PyObject *self, PyObject *unused) {
    (void)unused;
    PyObject *const state = PyObject_CallMethod((PyObject *)&PyBaseObject_Type, "__getstate__", "O", self);
    PyObject *slots = NULL;
    PyObject *whole = NULL;
    if (state != NULL && PyTuple_Check(state)) {
        slots = PyDict_Copy(PyTuple_GetItem(state, 1));
    } else if (state != NULL) {
        slots = PyDict_New();
    }
    for (const PyMemberDef *member = members; slots != NULL && member->name != NULL; member++) {
        PyObject *const value = *place_of(self, member);
        if (value != NULL && PyDict_SetItemString(slots, member->name, value) < 0) {
            Py_CLEAR(slots);
        }
    }
    if (slots != NULL) {
        whole = Py_BuildValue("(OO)", PyTuple_Check(state) ? PyTuple_GetItem(state, 0) : state, slots);
    }
    Py_XDECREF(state);
    Py_XDECREF(slots);
    return whole;
}

static PyMethodDef methods[] = {
    {"__init_subclass__", (PyCFunction)(void (*)(void))fronted_init_subclass,
     METH_CLASS | METH_METHOD | METH_FASTCALL | METH_KEYWORDS, NULL},
    {"__getstate__", fronted_getstate, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot fronted_slots[] = {
    {Py_tp_doc, "An object whose hot methods have fronts, and what these look at."},
    {Py_tp_members, members},
    {Py_tp_methods, methods},
    {Py_tp_traverse, fronted_traverse},
    {Py_tp_clear, fronted_clear},
    {Py_tp_dealloc, fronted_dealloc},
    {0, NULL},
};

static PyType_Spec fronted_spec = {
    .name = "unixipc._cpython.Fronted",
    .basicsize = sizeof(struct uipc_fronted),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = fronted_slots,
};

int uipc_add_methods(PyObject *module) {
    struct uipc_module *const state = uipc_module(module);
    state->twin_methods = PyDict_New();
    state->method_fronts = PyDict_New();
    state->fronted = PyType_FromModuleAndSpec(module, &fronted_spec, NULL);
    return state->twin_methods == NULL || state->method_fronts == NULL || state->fronted == NULL ||
                   PyModule_AddObjectRef(module, "method_fronts", state->method_fronts) < 0 ||
                   PyModule_AddObjectRef(module, "Fronted", state->fronted) < 0
               ? -1
               : 0;
}
