# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the Python tests share: the daemon as a process, tokens, a raw WebSocket client, HTTP and dialects.

Nothing in here sleeps: every wait is a read with a deadline. CHOIR_TEST_TIMEOUT_SCALE stretches all deadlines
(valgrind, very slow machines).
"""

from .daemon import Daemon, DaemonError
from .dialects import DIALECTS, Client, Dialect, connect
from .events import EventStream, emulate, sse_target
from .frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    CompressionContext,
    build_close,
    build_frame,
)
from .raw_http import Response, http_get, http_request, open_socket, read_response
from .schemas import Mismatch, Traffic
from .timing import DEADLINE, Deadline, scaled
from .tokens import mint
from .websocket import Close, EndOfStream, Frame, Handshake, RawWs, Timeout, Violation

__all__ = [
    'BINARY', 'CLOSE', 'CONTINUATION', 'Client', 'Close', 'CompressionContext', 'DEADLINE', 'DIALECTS', 'Daemon',
    'DaemonError', 'Deadline', 'Dialect', 'EndOfStream', 'EventStream', 'Frame', 'Handshake', 'Mismatch', 'PING', 'PONG', 'RawWs',
    'Response', 'TEXT', 'Timeout', 'Traffic', 'Violation', 'build_close', 'build_frame', 'connect', 'emulate', 'http_get',
    'http_request', 'mint', 'open_socket', 'read_response', 'scaled', 'sse_target',
]
