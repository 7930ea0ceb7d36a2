/* Fronts of the hot calls, each made of its twin: the function in Python that does what the front does not. */
#include "cpython.h"

static const struct {
    const char *name;
    const char *signature;
    uipc_front *function;
} fronts[] = {
    {"kill", "kill(pid, sig)", uipc_kill_front},
    {"sigqueue", "sigqueue(pid, sig, value=0, *, pointer=None)", uipc_sigqueue_front},
    {"sigprocmask", "sigprocmask(how, set=None)", uipc_sigprocmask_front},
    {"sigwaitinfo", "sigwaitinfo(set)", uipc_sigwaitinfo_front},
    {"msgsnd", "msgsnd(msqid, mtype, mtext, msgflg=0, *, timeout=None)", uipc_msgsnd_front},
    {"msgrcv", "msgrcv(msqid, msgsz, msgtyp=0, msgflg=0, *, timeout=None)", uipc_msgrcv_front},
    {"msgsnd_many", "msgsnd_many(msqid, messages, msgflg=0, *, timeout=None)", uipc_msgsnd_many_front},
    {"msgrcv_many", "msgrcv_many(msqid, msgsz, count, msgtyp=0, msgflg=0, *, timeout=None)", uipc_msgrcv_many_front},
    {"semop", "semop(semid, sops)", uipc_semop_front},
    {"mq_send", "mq_send(mqdes, msg, msg_prio=0)", uipc_mq_send_front},
    {"mq_receive", "mq_receive(mqdes, msg)", uipc_mq_receive_front},
    {"mq_timedsend", "mq_timedsend(mqdes, msg, msg_prio, abs_timeout)", uipc_mq_timedsend_front},
    {"mq_timedreceive", "mq_timedreceive(mqdes, msg, abs_timeout)", uipc_mq_timedreceive_front},
    {"mq_send_many", "mq_send_many(mqdes, messages, abs_timeout=None)", uipc_mq_send_many_front},
    {"mq_receive_many", "mq_receive_many(mqdes, msgsize, count, abs_timeout=None)", uipc_mq_receive_many_front},
    {"sem_wait", "sem_wait(sem)", uipc_sem_wait_front},
    {"sem_trywait", "sem_trywait(sem)", uipc_sem_trywait_front},
    {"sem_post", "sem_post(sem)", uipc_sem_post_front},
    {"read", "read(fd, count, *, timeout=None)", uipc_read_front},
    {"write", "write(fd, data, *, timeout=None)", uipc_write_front},
};

static PyObject *function_front(PyObject *module, PyObject *twin, PyObject *name) {
    PyObject *made = NULL;
    PyObject *const owner = PyObject_GetAttrString(twin, "__module__");
    for (size_t i = 0; owner != NULL && i < sizeof fronts / sizeof fronts[0]; i++) {
        if (PyUnicode_CompareWithASCIIString(name, fronts[i].name) == 0 &&
            PyDict_SetItem(uipc_module(module)->twins, name, twin) == 0) {
            PyMethodDef *const definition =
                uipc_define(fronts[i].name, fronts[i].signature, (PyCFunction)(void (*)(void))fronts[i].function,
                            METH_FASTCALL | METH_KEYWORDS, twin);
            made = definition == NULL ? NULL : PyCFunction_NewEx(definition, module, owner);
        }
    }
    Py_XDECREF(owner);
    return made;
}

PyDoc_STRVAR(front_doc,
             "front(twin, /)\n--\n\nMake the front of a hot call or method, which calls this function of the same name "
             "for all that it does not do by itself.");

static PyObject *front(PyObject *module, PyObject *twin) {
    PyObject *made = NULL;
    PyObject *const name = PyObject_GetAttrString(twin, "__name__");
    PyObject *const qualname = name == NULL ? NULL : PyObject_GetAttrString(twin, "__qualname__");
    if (qualname != NULL) {
        const bool is_method = PyUnicode_Compare(name, qualname) != 0;
        made = is_method ? uipc_method_front(module, twin, qualname) : function_front(module, twin, name);
    }
    if (made == NULL && !PyErr_Occurred()) {
        PyErr_Format(PyExc_ValueError, "%S() has no front", qualname);
    }
    Py_XDECREF(name);
    Py_XDECREF(qualname);
    return made;
}

static PyMethodDef functions[] = {
    {"front", front, METH_O, front_doc},
    {NULL, NULL, 0, NULL},
};

int uipc_add_fronts(PyObject *module) {
    struct uipc_module *const state = uipc_module(module);
    state->twins = PyDict_New();
    return state->twins == NULL || PyModule_AddObjectRef(module, "twins", state->twins) < 0
               ? -1
               : PyModule_AddFunctions(module, functions);
}
