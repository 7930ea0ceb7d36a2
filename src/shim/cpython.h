/* What the files that know CPython's API share: the module unixipc._cpython, inside the shared object of
 * unixipc._native. Limited API of 3.11; the state is the module's, so that nothing here is static and mutable. */
#ifndef UNIXIPC_CPYTHON_H
#define UNIXIPC_CPYTHON_H

#include <Python.h>

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "hot.h"

/* What is there already is taken with the GIL held. Where nothing was, as in a conversation, nothing will be the next
 * times either: they save the vain look. */
struct uipc_looks {
    unsigned int to_skip;
};
enum { UIPC_LOOKS_TO_SKIP = 8 };
static inline bool uipc_looks_first(struct uipc_looks *looks) {
    if (looks == NULL || looks->to_skip == 0) {
        return true;
    }
    looks->to_skip--;
    return false;
}
static inline void uipc_looked_in_vain(struct uipc_looks *looks) {
    if (looks != NULL) {
        looks->to_skip = UIPC_LOOKS_TO_SKIP;
    }
}

struct uipc_module {
    PyObject *handlers;   /* signum -> callable */
    PyObject *raw;        /* the type RawSiginfo */
    PyObject *signal;     /* signal.signal */
    PyObject *memory;     /* the type Memory */
    PyObject *library;    /* the type Library */
    PyObject *semaphore;  /* the type Semaphore */
    PyObject *twins;      /* name -> the Python function behind a front */
    PyObject *siginfo;    /* Siginfo, a subclass of RawSiginfo */
    PyObject *spare;      /* the Siginfo that was given out last */
    PyObject *signal_set; /* SignalSet */
    PyObject *from_mask;  /* its constructor */
    PyObject *mask; /* the name of its attribute: not made anew for each look, for the interpreter would keep it */
    PyObject *waited_for; /* the SignalSet of the last sigwaitinfo, and its mask */
    uint64_t waited_for_mask;
    struct uipc_looks looks_for_signals;
    PyObject *failure;       /* _check.failure */
    PyObject *restore;       /* the name of the method that a Restoring calls */
    PyObject *fronted;       /* the type Fronted */
    PyObject *twin_methods;  /* module and qualified name -> the Python function behind the front of a method */
    PyObject *method_fronts; /* front -> that function */
};

static inline struct uipc_module *uipc_module(PyObject *module) { return PyModule_GetState(module); }

/* Each adds its functions and types to the module: 0, or -1 with an exception. */
int uipc_add_dispatcher(PyObject *module);
int uipc_add_memory(PyObject *module);
int uipc_add_library(PyObject *module);
int uipc_add_semaphore(PyObject *module);
int uipc_add_siginfo(PyObject *module);
int uipc_add_fronts(PyObject *module);
int uipc_add_methods(PyObject *module);
int uipc_add_restoring(PyObject *module);

/* Run the handlers of all recorded signals: 0, or -1 with the exception of one. */
int uipc_run_handlers(PyObject *module);

/* An object that is not a Memory, or None: -1 with TypeError. */
int uipc_refuse_others(PyObject *module, PyObject *object);
/* Memory that did not come along in fork(): -1 with ValueError. */
int uipc_refuse_absent(PyObject *memory);

/* A Siginfo of one's own. */
PyObject *uipc_siginfo_object(PyObject *module, const siginfo_t *info);

/* A front, a METH_FASTCALL | METH_KEYWORDS; its twin, called with the same arguments; and what fronts need. */
typedef PyObject *uipc_front(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *names);
PyObject *uipc_call_twin(PyObject *module, const char *name, PyObject *const *args, Py_ssize_t count, PyObject *names);
PyObject *uipc_call(PyObject *function, PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names);
/* Whether all arguments are plain ints of C. */
static inline bool uipc_are_ints(PyObject *const *args, Py_ssize_t count, int *numbers) {
    for (Py_ssize_t i = 0; i < count; i++) {
        int overflow = 1;
        const bool is_int = PyLong_CheckExact(args[i]) || PyLong_Check(args[i]);
        const long value = is_int ? PyLong_AsLongAndOverflow(args[i], &overflow) : 0;
        numbers[i] = (int)value;
        if (overflow != 0 || numbers[i] != value) {
            return false;
        }
    }
    return true;
}
bool uipc_as_int64(PyObject *object, int64_t *number);
void uipc_raise_made(PyObject *exception);
/* A tuple of two new objects, which it takes; NULL where one is. */
PyObject *uipc_pair(PyObject *first, PyObject *second);

/* The text of a message: a bytes object is read as it is, everything else through its buffer; false with an exception.
 * The caller owns the object. */
struct uipc_text {
    const char *begin;
    size_t size;
    Py_buffer view;
};
bool uipc_text_of(PyObject *object, struct uipc_text *text);
static inline void uipc_text_free(struct uipc_text *text) {
    if (text->view.obj != NULL) {
        PyBuffer_Release(&text->view);
    }
}

/* cpython_batches.c: messages whose text stands at `text_at` in its pair, 0 or 1. uipc_batch_of is false for what is no
 * plain list of them, with an exception where there is no memory; what it or uipc_batch_new took, uipc_batch_free gives
 * back. */
enum { UIPC_AT_ONCE = 1024, UIPC_ROOM = 256 << 10 }; /* messages and bytes */
struct uipc_batch {
    size_t count;
    int64_t *numbers;
    size_t *sizes;
    char *texts;
};
bool uipc_batch_new(struct uipc_batch *batch, size_t count, size_t room);
void uipc_batch_free(struct uipc_batch *batch);
bool uipc_batch_of(PyObject *messages, int text_at, struct uipc_batch *batch);
PyObject *uipc_batch_list(const struct uipc_batch *batch, size_t received, int text_at);

/* The definition of a function with such a signature and the twin's docstring; it lives as long as the interpreter. */
PyMethodDef *uipc_define(const char *name, const char *signature, PyCFunction function, int flags, PyObject *twin);
/* Note a function of a class as the twin of a method's front, which the class will get; the function again. */
PyObject *uipc_method_front(PyObject *module, PyObject *twin, PyObject *qualname);

uipc_front uipc_kill_front;
uipc_front uipc_sigqueue_front;
uipc_front uipc_sigprocmask_front;
uipc_front uipc_sigwaitinfo_front;
uipc_front uipc_msgsnd_front;
uipc_front uipc_msgrcv_front;
uipc_front uipc_msgsnd_many_front;
uipc_front uipc_msgrcv_many_front;
uipc_front uipc_semop_front;
uipc_front uipc_mq_send_front;
uipc_front uipc_mq_receive_front;
uipc_front uipc_mq_timedsend_front;
uipc_front uipc_mq_timedreceive_front;
uipc_front uipc_mq_send_many_front;
uipc_front uipc_mq_receive_many_front;
uipc_front uipc_sem_wait_front;
uipc_front uipc_sem_trywait_front;
uipc_front uipc_sem_post_front;

uipc_front uipc_read_front;
uipc_front uipc_write_front;

/* Whether an object, or NULL, is a Semaphore that is open, with its memory here; and where it is. */
bool uipc_is_open_semaphore(PyObject *module, PyObject *object, uint64_t *address);
/* sem_wait(3) on one that is open, without the GIL; the caller owns it. */
int uipc_wait_for_semaphore(PyObject *object);

/* The end of a tp_dealloc. */
static inline void uipc_free_object(PyObject *self) {
    PyTypeObject *const type = Py_TYPE(self);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

#endif
