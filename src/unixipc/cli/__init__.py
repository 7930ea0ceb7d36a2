"""The command line: `unixipc tour`. It needs the extra `cli`."""
