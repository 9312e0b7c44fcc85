#!/usr/bin/env python3
# A handler in Python, with its standard library alone: slackwater dev --exec "python3 examples/bot.py"
# It may be kept for many turns, too: --exec-workers 4
import json
import os
import sys
import time

asked = 0


def say(**words):
    print(json.dumps(words), flush=True)


def ask(**words):
    """Says it and waits for the answer."""
    global asked
    asked += 1
    say(request=asked, **words)
    while True:
        heard = hear()
        if heard["type"] == "result" and heard["request"] == asked:
            if not heard["ok"]:
                raise RuntimeError(heard["error"])
            return heard["value"]


def hear():
    """The next line. At the end of the input, or at an interrupt, nobody listens any more."""
    line = sys.stdin.readline()
    heard = json.loads(line) if line else {"type": "interrupt"}
    if heard["type"] == "interrupt":
        sys.exit(1)
    return heard


def step(name, work):
    """Runs once in the life of the turn: after a crash the stored result comes back."""
    known = ask(type="step", name=name)
    if not known["done"]:
        known["result"] = work()
        ask(type="step", name=name, result=known["result"])
    return known["result"]


def look_up(word):
    """Stands for a slow tool."""
    print("looking up " + word, file=sys.stderr, flush=True)
    time.sleep(float(os.environ.get("BOT_SLOWNESS", "0.1")))
    return len(word)


while True:
    turn = hear()
    say(type="status", text="is counting letters …")
    lengths = [step(f"{n} {word}", lambda: look_up(word)) for n, word in enumerate(turn["text"].split(), 1)]
    say(type="done", reply="Letters: " + " ".join(map(str, lengths)))
