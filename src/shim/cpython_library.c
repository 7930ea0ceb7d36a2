/* Libraries of dlopen(3) as objects: no number can be taken for a handle, and none is used after dlclose(3).
 *
 * Everything here holds the GIL, as the interpreter's own import does when it loads a library. Another thread can then
 * neither close what is being used, nor wait for the GIL within the loader's lock while we wait for that. */
#include "cpython.h"

struct library {
    PyObject head;
    void *handle;
    PyObject *name; /* for its repr */
    bool pseudo;    /* RTLD_DEFAULT, which nobody has opened */
    bool closed;
};

static struct library *library_of(PyObject *object) { return (struct library *)(void *)object; }

static int refuse_closed(const struct library *library) {
    if (library->closed) {
        PyErr_Format(PyExc_ValueError, "the library %U is closed", library->name);
        return -1;
    }
    return 0;
}

/* An argument that is bytes without a NUL, or None for NULL. */
static int text_or_null(PyObject *object, void *result) {
    char **const text = result;
    *text = NULL;
    return object == Py_None || PyBytes_AsStringAndSize(object, text, NULL) == 0;
}

/* What the loader said, or None: (-errno, text). */
static PyObject *complaint(int error, const char *said) {
    PyObject *const text = said == NULL ? Py_NewRef(Py_None) : PyUnicode_DecodeFSDefault(said);
    return text == NULL ? NULL : Py_BuildValue("(iN)", error, text);
}

static PyObject *library_new(PyObject *module, const char *name) {
    PyObject *const self = PyType_GenericAlloc((PyTypeObject *)uipc_module(module)->library, 0);
    if (self != NULL) {
        library_of(self)->closed = true; /* until it has a handle */
        library_of(self)->name = PyUnicode_DecodeFSDefault(name);
        if (library_of(self)->name == NULL) {
            Py_DECREF(self);
            return NULL;
        }
    }
    return self;
}

PyDoc_STRVAR(dlopen_doc, "dlopen(filename, flags, /)\n--\n\nReturns the library, or (-errno, what the loader said).");

static PyObject *open_library(PyObject *module, PyObject *args) {
    const char *filename;
    int flags;
    const char *said;
    if (!PyArg_ParseTuple(args, "O&i:dlopen", text_or_null, &filename, &flags)) {
        return NULL;
    }
    PyObject *const self = library_new(module, filename == NULL ? "of the program" : filename);
    if (self == NULL) {
        return NULL;
    }
    const int result = uipc_dlopen(filename, flags, &library_of(self)->handle, &said);
    if (result < 0) {
        Py_DECREF(self);
        return complaint(result, said);
    }
    library_of(self)->closed = false;
    return self;
}

PyDoc_STRVAR(dlsym_doc,
             "dlsym(library, symbol, version, /)\n--\n\nReturns the address, or (-errno, what the loader said).");

static PyObject *find_symbol(PyObject *module, PyObject *args) {
    PyObject *library;
    const char *symbol;
    const char *version;
    uint64_t address;
    const char *said;
    if (!PyArg_ParseTuple(args, "O!yO&:dlsym", uipc_module(module)->library, &library, &symbol, text_or_null,
                          &version) ||
        refuse_closed(library_of(library)) < 0) {
        return NULL;
    }
    const int result = uipc_dlsym(library_of(library)->handle, symbol, version, &address, &said);
    return result < 0 ? complaint(result, said) : PyLong_FromUnsignedLongLong(address);
}

PyDoc_STRVAR(dlclose_doc, "dlclose(library, /)\n--\n\nReturns None, or (-errno, what the loader said).");

static PyObject *close_library(PyObject *module, PyObject *args) {
    PyObject *object;
    const char *said;
    if (!PyArg_ParseTuple(args, "O!:dlclose", uipc_module(module)->library, &object)) {
        return NULL;
    }
    struct library *const library = library_of(object);
    if (library->pseudo) {
        PyErr_Format(PyExc_ValueError, "%U is not a library that was opened", library->name);
        return NULL;
    }
    if (refuse_closed(library) < 0) {
        return NULL;
    }
    library->closed = true; /* first: the library's destructors may run Python code */
    const int result = uipc_dlclose(library->handle, &said);
    return result < 0 ? complaint(result, said) : Py_NewRef(Py_None);
}

PyDoc_STRVAR(dladdr_doc, "dladdr(address, /)\n--\n\nReturns (fname, fbase, sname, saddr), or None.");

static PyObject *tell_address(PyObject *module, PyObject *args) {
    unsigned long long address;
    struct uipc_dl_info info;
    (void)module;
    if (!PyArg_ParseTuple(args, "K:dladdr", &address)) {
        return NULL;
    }
    if (!uipc_dladdr(address, &info)) {
        Py_RETURN_NONE;
    }
    PyObject *const fname = PyUnicode_DecodeFSDefault(info.fname);
    if (fname == NULL || info.sname == NULL) {
        return fname == NULL ? NULL : Py_BuildValue("(NKOO)", fname, info.fbase, Py_None, Py_None);
    }
    return Py_BuildValue("(NKsK)", fname, info.fbase, info.sname, info.saddr);
}

static PyObject *phdr_tuple(const ElfW(Phdr) * phdr) {
    return Py_BuildValue("(IIKKKKKK)", (unsigned int)phdr->p_type, (unsigned int)phdr->p_flags,
                         (unsigned long long)phdr->p_offset, (unsigned long long)phdr->p_vaddr,
                         (unsigned long long)phdr->p_paddr, (unsigned long long)phdr->p_filesz,
                         (unsigned long long)phdr->p_memsz, (unsigned long long)phdr->p_align);
}

static PyObject *phdr_tuples(const struct dl_phdr_info *info) {
    PyObject *const tuples = PyTuple_New(info->dlpi_phnum);
    for (Py_ssize_t i = 0; tuples != NULL && i < info->dlpi_phnum; i++) {
        PyObject *const tuple = phdr_tuple(&info->dlpi_phdr[i]);
        if (tuple == NULL || PyTuple_SetItem(tuples, i, tuple) < 0) {
            Py_DECREF(tuples);
            return NULL;
        }
    }
    return tuples;
}

static PyObject *loaded_tuple(const struct dl_phdr_info *info) {
    PyObject *const name = PyUnicode_DecodeFSDefault(info->dlpi_name);
    PyObject *const phdrs = phdr_tuples(info);
    if (name == NULL || phdrs == NULL) {
        Py_XDECREF(name);
        Py_XDECREF(phdrs);
        return NULL;
    }
    return Py_BuildValue("(KNNKKKK)", (unsigned long long)info->dlpi_addr, name, phdrs,
                         (unsigned long long)info->dlpi_adds, (unsigned long long)info->dlpi_subs,
                         (unsigned long long)info->dlpi_tls_modid, (unsigned long long)(uintptr_t)info->dlpi_tls_data);
}

PyDoc_STRVAR(dl_iterate_phdr_doc, "dl_iterate_phdr()\n--\n\nReturns a list of tuples, in the order of the C struct.");

static PyObject *list_loaded(PyObject *module, PyObject *unused) {
    struct uipc_loaded *first;
    (void)module;
    (void)unused;
    PyObject *objects = uipc_dl_iterate_phdr(&first) < 0 ? PyErr_NoMemory() : PyList_New(0);
    for (const struct uipc_loaded *loaded = first; objects != NULL && loaded != NULL; loaded = loaded->next) {
        PyObject *const object = loaded_tuple(&loaded->info);
        if (object == NULL || PyList_Append(objects, object) < 0) {
            Py_CLEAR(objects);
        }
        Py_XDECREF(object);
    }
    uipc_free_loaded(first);
    return objects;
}

/* -- the type -- */

static PyObject *library_repr(PyObject *self) {
    const struct library *const library = library_of(self);
    return PyUnicode_FromFormat("<Library %U%s>", library->name, library->closed ? ", closed" : "");
}

static PyObject *library_closed(PyObject *self, void *closure) {
    (void)closure;
    return PyBool_FromLong(library_of(self)->closed);
}

/* It stays loaded: somebody may be using an address in it. */
static void library_dealloc(PyObject *self) {
    Py_XDECREF(library_of(self)->name);
    uipc_free_object(self);
}

static PyGetSetDef library_attributes[] = {
    {"closed", library_closed, NULL, "Whether dlclose() was called.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot library_slots[] = {
    {Py_tp_doc,
     "The handle of a library that dlopen() gave. Dropped without dlclose() it leaves the library loaded, as "
     "a handle does in C."},
    {Py_tp_repr, library_repr},
    {Py_tp_dealloc, library_dealloc},
    {Py_tp_getset, library_attributes},
    {0, NULL},
};

static PyType_Spec library_spec = {
    .name = "unixipc._cpython.Library",
    .basicsize = sizeof(struct library),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = library_slots,
};

static PyMethodDef functions[] = {
    {"dlopen", open_library, METH_VARARGS, dlopen_doc},
    {"dlsym", find_symbol, METH_VARARGS, dlsym_doc},
    {"dlclose", close_library, METH_VARARGS, dlclose_doc},
    {"dladdr", tell_address, METH_VARARGS, dladdr_doc},
    {"dl_iterate_phdr", list_loaded, METH_NOARGS, dl_iterate_phdr_doc},
    {NULL, NULL, 0, NULL},
};

static int add_rtld_default(PyObject *module) {
    PyObject *const self = library_new(module, "RTLD_DEFAULT");
    if (self == NULL) {
        return -1;
    }
    library_of(self)->handle = uipc_rtld_default();
    library_of(self)->pseudo = true;
    library_of(self)->closed = false;
    const int result = PyModule_AddObjectRef(module, "RTLD_DEFAULT", self);
    Py_DECREF(self);
    return result;
}

int uipc_add_library(PyObject *module) {
    PyObject *const library = PyType_FromModuleAndSpec(module, &library_spec, NULL);
    uipc_module(module)->library = library;
    if (library == NULL || PyModule_AddObjectRef(module, "Library", library) < 0 || add_rtld_default(module) < 0) {
        return -1;
    }
    return PyModule_AddFunctions(module, functions);
}
