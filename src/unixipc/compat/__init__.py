"""Other packages' interfaces on top of ours: a program changes one import, and keeps the rest (docs/compat.md)."""
