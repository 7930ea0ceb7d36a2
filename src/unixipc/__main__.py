"""`python -m unixipc` and the command `unixipc`."""

import sys

_EXTRA = {"rich", "typer"}


def main() -> None:
    """Run the command line; exit status 2, with one line that helps, where its extra is not installed."""
    try:
        from unixipc.cli.app import app  # noqa: PLC0415 - not at the top: it needs what may be missing
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _EXTRA:
            raise
        print("the command line needs the extra: pip install 'unixipc[cli]'", file=sys.stderr)
        sys.exit(2)
    app()


if __name__ == "__main__":
    main()
