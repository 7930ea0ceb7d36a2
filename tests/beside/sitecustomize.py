"""With this folder on its path an interpreter holds a handler of ours from its start on, as do those that it starts."""

import holding  # type: ignore[import-not-found]  # noqa: F401 - that is all
