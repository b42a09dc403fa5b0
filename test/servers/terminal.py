"""Runs a command on a real pseudo-terminal and talks with it as told.

    terminal.py STEPS COMMAND [ARGUMENT...]

STEPS is a JSON list of {"expect": text} (wait until it has been shown since the last expectation) and {"send": text}. At the
end prints {"screen": all that was shown, "code": exit code}, or fails naming what did not come.
"""

import json
import os
import pty
import select
import sys
import time

PATIENCE_S = 60


class Terminal:
    def __init__(self, command):
        self.screen = ""
        self.seen = 0
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvp(command[0], command)

    def read(self):
        """False at the end of the command."""
        ready, _, _ = select.select([self.fd], [], [], 0.1)
        if not ready:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.screen += data.decode("utf8", "replace")
        return len(data) > 0

    def expect(self, text):
        deadline = time.monotonic() + PATIENCE_S
        while (at := self.screen.find(text, self.seen)) < 0:
            if time.monotonic() > deadline or not self.read():
                sys.exit(f"{text!r} did not come after {self.screen[self.seen:]!r}")
        self.seen = at + len(text)

    def end(self):
        deadline = time.monotonic() + PATIENCE_S
        while self.read():
            if time.monotonic() > deadline:
                sys.exit(f"it does not end: {self.screen[self.seen:]!r}")
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


terminal = Terminal(sys.argv[2:])
for step in json.loads(sys.argv[1]):
    if "expect" in step:
        terminal.expect(step["expect"])
    else:
        os.write(terminal.fd, step["send"].encode())
code = terminal.end()
print(json.dumps({"screen": terminal.screen, "code": code}))
