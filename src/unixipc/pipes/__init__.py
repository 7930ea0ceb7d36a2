"""Pipes for everyday use: ends with timeouts and with-blocks, FIFOs, and pipelines of commands.

`pipe` makes a pipe and `duplex` two crossed ones; a `Fifo` is one that processes find by its path. `Reader` and
`Writer` are the ends of them all. `pipeline` starts `cmd1 | cmd2 | … | cmdn`, `run` does so and gives back what came
out; both tell how every command ended.
"""

from unixipc.pipes.ends import Duplex as Duplex
from unixipc.pipes.ends import IncompleteReadError as IncompleteReadError
from unixipc.pipes.ends import Pipe as Pipe
from unixipc.pipes.ends import Reader as Reader
from unixipc.pipes.ends import Writer as Writer
from unixipc.pipes.ends import duplex as duplex
from unixipc.pipes.ends import pipe as pipe
from unixipc.pipes.fifos import Fifo as Fifo
from unixipc.pipes.pipelines import Pipeline as Pipeline
from unixipc.pipes.pipelines import Result as Result
from unixipc.pipes.pipelines import pipeline as pipeline
from unixipc.pipes.pipelines import run as run
