"""A program on a terminal of its own, for tests that type and read what a person would."""

import fcntl
import os
import pty
import select
import subprocess
import termios
import time

# Long enough for a loaded machine; reached only when a test fails.
TIMEOUT_SECONDS = 120
LOCAL_FLAGS = 3  # in the list that tcgetattr() gives


def _own_the_terminal():
    """Makes standard input the controlling terminal, so that a typed Ctrl-C is a signal."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Terminal:
    """Standard input and output of the program are the terminal; its standard error is a pipe, read by close()."""

    def __init__(self, command, cwd, env):
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [str(word) for word in command], stdin=slave, stdout=slave, stderr=subprocess.PIPE, start_new_session=True,
            preexec_fn=_own_the_terminal, cwd=cwd, env=env)
        os.close(slave)
        self.shown = ""  # all that the terminal has shown, with \n for line ends
        self._read_to = 0  # where the next expect() begins
        self._errors = None  # standard error, once closed

    def type(self, text):
        os.write(self._master, text.encode())

    def enter(self, line):
        self.type(line + "\r")

    def press_ctrl_c(self):
        self.type("\x03")

    def press_ctrl_d(self):
        self.type("\x04")

    def _receive(self, deadline):
        """More of the output; False at its end."""
        ready, _, _ = select.select([self._master], [], [], max(0, deadline - time.monotonic()))
        assert ready, f"nothing more in {TIMEOUT_SECONDS} s after: {self.shown!r}"
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux says so when the program's side is closed
            return False
        self.shown += data.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)

    def expect(self, text):
        """Waits until `text` is shown; returns what was shown before it since the last call."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while (found := self.shown.find(text, self._read_to)) < 0:
            assert self._receive(deadline), f"the program ended without {text!r}: {self.shown!r}"
        before = self.shown[self._read_to : found]
        self._read_to = found + len(text)
        return before

    def expect_prompt(self, prompt):
        """As expect(), and waits until the program takes over editing: what is typed before is echoed twice."""
        before = self.expect(prompt)
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while termios.tcgetattr(self._master)[LOCAL_FLAGS] & termios.ICANON:
            assert time.monotonic() < deadline, f"no line is read after: {self.shown!r}"
            time.sleep(0.001)
        return before

    def finish(self):
        """Waits for the program's end; returns its exit code and what was shown since the last expect()."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while self._receive(deadline):
            pass
        return self.process.wait(timeout=TIMEOUT_SECONDS), self.shown[self._read_to :]

    def close(self):
        """Ends the program if it still runs; returns its standard error."""
        if self._errors is None:
            self.process.kill()  # does nothing when it has ended
            os.close(self._master)
            self._errors = self.process.communicate()[1].decode()
        return self._errors
