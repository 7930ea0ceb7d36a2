"""The command `unixipc`. It needs the extra `cli`, and `unixipc plot` the extra `plot`."""
