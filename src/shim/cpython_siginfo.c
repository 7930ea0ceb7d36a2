/* siginfo_t as an object: handlers get it without a call of Python code, and read it without one. */
#include "cpython.h"

#include <stddef.h>
#include <string.h>

struct raw_siginfo {
    PyObject head;
    siginfo_t info;
};

static struct raw_siginfo *raw_siginfo_of(PyObject *object) { return (struct raw_siginfo *)(void *)object; }

static PyObject *raw_siginfo_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    static char *names[] = {"raw", NULL};
    Py_buffer raw;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "y*:Siginfo", names, &raw)) {
        return NULL;
    }
    PyObject *self = NULL;
    if (raw.len != sizeof(siginfo_t)) {
        PyErr_Format(PyExc_ValueError, "a siginfo_t is %zu bytes, not %zd", sizeof(siginfo_t), raw.len);
    } else if ((self = PyType_GenericAlloc(type, 0)) != NULL) {
        memcpy(&raw_siginfo_of(self)->info, raw.buf, sizeof(siginfo_t));
    }
    PyBuffer_Release(&raw);
    return self;
}

static PyObject *raw_siginfo_raw(PyObject *self, void *closure) {
    (void)closure;
    return PyBytes_FromStringAndSize((const char *)&raw_siginfo_of(self)->info, sizeof(siginfo_t));
}

/* One member of the decoded record: None where the si_code says that the kernel did not write it. */
struct member {
    size_t offset;
    enum { INT, UNSIGNED, INT64, UNSIGNED64 } type;
    unsigned int applies;
};

static PyObject *raw_siginfo_member(PyObject *self, void *closure) {
    const struct member *const member = closure;
    struct uipc_siginfo decoded;
    uipc_siginfo(&raw_siginfo_of(self)->info, &decoded);
    if (member->applies != 0 && !(decoded.members & member->applies)) {
        Py_RETURN_NONE;
    }
    const void *const place = (const char *)&decoded + member->offset;
    switch (member->type) {
    case INT:
        return PyLong_FromLong(*(const int *)place);
    case UNSIGNED:
        return PyLong_FromUnsignedLong(*(const unsigned int *)place);
    case INT64:
        return PyLong_FromLongLong(*(const int64_t *)place);
    default:
        return PyLong_FromUnsignedLongLong(*(const uint64_t *)place);
    }
}

#define TYPE_OF(field)                                                                                                 \
    _Generic(((struct uipc_siginfo *)NULL)->field,                                                                     \
        int: INT,                                                                                                      \
        unsigned int: UNSIGNED,                                                                                        \
        int64_t: INT64,                                                                                                \
        uint64_t: UNSIGNED64)
#define MEMBER(name, field, applies, doc)                                                                              \
    {                                                                                                                  \
        name, raw_siginfo_member, NULL, doc, &(struct member) {                                                        \
            offsetof(struct uipc_siginfo, field), TYPE_OF(field), applies                                              \
        }                                                                                                              \
    }

static PyGetSetDef raw_siginfo_attributes[] = {
    {"raw", raw_siginfo_raw, NULL, "The 128 bytes as the kernel wrote them.", NULL},
    MEMBER("si_signo", signo, 0, "The signal's number."),
    MEMBER("si_errno", error, 0, "An errno, which Linux hardly ever sets."),
    MEMBER("si_code", code, 0, "Where the signal came from."),
    MEMBER("si_pid", pid, UIPC_SI_SENDER, "The process that sent it, or the child that it is about."),
    MEMBER("si_uid", uid, UIPC_SI_SENDER, "The real user of that process."),
    MEMBER("si_status", status, UIPC_SI_CHILD, "The child's exit status, or the signal that changed its state."),
    MEMBER("si_utime", utime, UIPC_SI_CHILD, "The child's user time, in clock ticks."),
    MEMBER("si_stime", stime, UIPC_SI_CHILD, "The child's system time, in clock ticks."),
    MEMBER("si_value", value_int, UIPC_SI_VALUE, "The value that came along, as the C int sival_int."),
    MEMBER("si_int", value_int, UIPC_SI_VALUE, "The same."),
    MEMBER("si_ptr", value_ptr, UIPC_SI_VALUE, "The whole value as the address sival_ptr."),
    MEMBER("si_timerid", timerid, UIPC_SI_TIMER_ID, "The kernel's number of the timer."),
    MEMBER("si_overrun", overrun, UIPC_SI_TIMER_ID, "How often the timer expired again before delivery."),
    MEMBER("si_addr", addr, UIPC_SI_ADDR, "The address of the fault."),
    MEMBER("si_addr_lsb", addr_lsb, UIPC_SI_ADDR_LSB, "The least significant bit of a hardware memory error."),
    MEMBER("si_lower", lower, UIPC_SI_BOUNDS, "The lower bound that was violated."),
    MEMBER("si_upper", upper, UIPC_SI_BOUNDS, "The upper bound that was violated."),
    MEMBER("si_pkey", pkey, UIPC_SI_PKEY, "The protection key of the page."),
    MEMBER("si_band", band, UIPC_SI_POLL, "The poll(2) events."),
    MEMBER("si_fd", fd, UIPC_SI_POLL, "The descriptor that is ready."),
    MEMBER("si_call_addr", call_addr, UIPC_SI_SYS, "The address of the system call's instruction."),
    MEMBER("si_syscall", syscall, UIPC_SI_SYS, "The number of the system call."),
    MEMBER("si_arch", arch, UIPC_SI_SYS, "The AUDIT_ARCH_* of the system call."),
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot raw_siginfo_slots[] = {
    {Py_tp_doc, "A siginfo_t, its members under their man-page names."},
    {Py_tp_new, raw_siginfo_new},
    {Py_tp_dealloc, uipc_free_object},
    {Py_tp_getset, raw_siginfo_attributes},
    {0, NULL},
};

static PyType_Spec raw_siginfo_spec = {
    .name = "unixipc._cpython.RawSiginfo",
    .basicsize = sizeof(struct raw_siginfo),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = raw_siginfo_slots,
};

/* The last one is used again when nobody else has kept it, which saves a busy receiver a tenth of its time. */
UIPC_HOT PyObject *uipc_siginfo_object(PyObject *module, const siginfo_t *info) {
    struct uipc_module *const state = uipc_module(module);
    PyObject *self = state->spare;
    if (self != NULL && Py_REFCNT(self) == 1 && (PyObject *)Py_TYPE(self) == state->siginfo) {
        raw_siginfo_of(self)->info = *info;
        Py_INCREF(self);
        return self;
    }
    self = PyType_GenericAlloc((PyTypeObject *)state->siginfo, 0);
    if (self != NULL) {
        PyObject *const old = state->spare;
        raw_siginfo_of(self)->info = *info;
        Py_INCREF(self);
        state->spare = self;
        Py_XDECREF(old); /* which may run a __del__ and come here again */
    }
    return self;
}

int uipc_add_siginfo(PyObject *module) {
    PyObject *const raw = PyType_FromModuleAndSpec(module, &raw_siginfo_spec, NULL);
    uipc_module(module)->raw = raw;
    return raw == NULL ? -1 : PyModule_AddObjectRef(module, "RawSiginfo", raw);
}
