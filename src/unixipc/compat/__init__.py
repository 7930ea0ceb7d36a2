"""Drop-in replacements for other packages: the same names and semantics, over the rooms of this one."""
