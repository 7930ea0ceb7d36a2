"""What the module `socket` lacks for local use: Unix sockets by their names, with descriptors and credentials.

A `UnixSocket` is a `socket.socket`, with all that it can do. `pair`, `listen`, `connect` and `bind` make one, for a
stream, datagrams or records (seqpacket); a name is a path or, made by `abstract`, one without a file. Descriptors and
credentials travel with `send_message` and `receive_message`. A with-block closes, and never unlinks.
"""

from unixipc.sockets.addresses import Address as Address
from unixipc.sockets.addresses import abstract as abstract
from unixipc.sockets.making import bind as bind
from unixipc.sockets.making import connect as connect
from unixipc.sockets.making import listen as listen
from unixipc.sockets.making import pair as pair
from unixipc.sockets.messages import Credentials as Credentials
from unixipc.sockets.messages import Message as Message
from unixipc.sockets.unixsocket import UnixSocket as UnixSocket
