"""How much CPU time Python costs here and now, on a machine that may be slow, busy or both."""

import json
import time

_TURN = {"role": "user", "parts": [{"text": "What a client says, in some forty words. " * 8}]}
_REQUEST = {"contents": [_TURN] * 6, "generationConfig": {"temperature": 0.5, "topP": 1, "n": 3}}


def pace_us(pieces: int = 1000) -> float:
    """CPU microseconds of one piece of a server's kind of work: text in, objects, text out."""
    text = json.dumps(_REQUEST)
    began = time.thread_time_ns()
    for number in range(pieces):
        asked = json.loads(text)
        asked["contents"][-1] = {**_TURN, "number": number}
        lines = json.dumps(asked).encode().split(b" ")
        b" ".join(line for line in lines if line)
    return (time.thread_time_ns() - began) / pieces / 1e3
