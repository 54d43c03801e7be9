#!/usr/bin/env python3
"""dialogue.py ANSWERS COMMAND...: runs a command at a terminal of its own, and answers its questions.

ANSWERS is JSON, [[question, answer], ...]: each answer is typed once its question stands at the end of what was printed. Prints
all that the terminal showed; the exit status is the command's, or 124 where a question did not come.
"""

import json
import os
import pty
import select
import sys
import time

PATIENCE = 120

answers, command = json.loads(sys.argv[1]), sys.argv[2:]
child, terminal = pty.fork()
if child == 0:
    os.execvp(command[0], command)

shown = ""
answered = 0  # so much of it was there at the last answer: a question that was answered is not the next one
last = time.monotonic()
while True:
    if answers and shown[answered:].rstrip("\r\n").endswith(answers[0][0]):
        os.write(terminal, answers.pop(0)[1].encode() + b"\n")
        shown += "\n"
        answered = len(shown)
        last = time.monotonic()
    ready, _, _ = select.select([terminal], [], [], 1)
    if ready:
        try:
            said = os.read(terminal, 4096)
        except OSError:  # the last one has closed it
            said = b""
        if not said:
            break
        shown += said.decode(errors="replace")
    elif time.monotonic() - last > PATIENCE:
        os.kill(child, 9)
        answers = answers or [["its end", ""]]
        break

_, status = os.waitpid(child, 0)
sys.stdout.write(shown)
if answers:
    sys.stderr.write(f"this question did not come: {answers[0][0]!r}\n")
    sys.exit(124)
sys.exit(os.waitstatus_to_exitcode(status))
