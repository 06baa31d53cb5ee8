"""Runs a command in a pseudo-terminal of its own: keys come in on stdin, what the terminal would show goes to stdout.

usage: terminal.py COLUMNS LINES COMMAND...   `resize COLUMNS LINES` on stdin, between NUL bytes, changes the size; keys may stand before
and after it in the same read.
"""

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios


def set_size(terminal: int, columns: int, lines: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


def send(terminal: int, child: int, data: bytes) -> None:
    for part in data.split(b"\0"):
        if part.startswith(b"resize "):
            columns, lines = part.split()[1:]
            set_size(terminal, int(columns), int(lines))
            os.kill(child, signal.SIGWINCH)
        elif part:
            os.write(terminal, part)


def main() -> int:
    child, terminal = pty.fork()
    if child == 0:
        # The size is set before the command starts: it reads one byte when that is done.
        os.read(0, 1)
        os.execvp(sys.argv[3], sys.argv[3:])
    set_size(terminal, int(sys.argv[1]), int(sys.argv[2]))
    os.write(terminal, b"\n")
    is_open = True
    while True:
        ready, _, _ = select.select([terminal, 0] if is_open else [terminal], [], [])
        if 0 in ready:
            data = os.read(0, 4096)
            is_open = data != b""
            if is_open:
                send(terminal, child, data)
        if terminal in ready:
            try:
                shown = os.read(terminal, 65536)
            except OSError:
                shown = b""
            if shown == b"":
                break
            os.write(1, shown)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


sys.exit(main())
