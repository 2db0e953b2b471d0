"""A local gateway to Gemini: one path for every request, whatever the client speaks.

    client -> app -> dialect.parse -> Call -> pipeline -> throttle -> upstream -> Google
    client <- app <- dialect.encode <- Event <- EventReader <- Chunk <--┘   usage: once, in finally

Five nouns carry the program:

* A **dialect** is a client API family (OpenAI chat, Anthropic messages). It parses client JSON into
  a ``Call`` and encodes events back; it is pure, and knows no upstream.
* An **upstream** is a Google door (Code Assist, Gemini API). It sends a fitted request and yields
  chunks; it knows no dialect.
* Both speak the **pivot**, Gemini's own ``generateContent`` JSON: N dialects and M upstreams cost
  N + M files.
* The **pipeline** is the one path between them: fit, wait for a turn, send, retry while nothing has
  been sent to the client, record usage.
* The **throttle** decides when a request may leave.

A room imports only from lower rooms; the build checks it (``pyproject.toml``, import-linter):

    host > edge > core > upstreams | storage > auth | dialects | connect | demo
         > gemini | network > settings > the flat files
"""

import sys

__version__ = "0.1.0"

# httpx loads its command line (click, rich, pygments: 6 MB and a tenth of a second) wherever those
# are installed, and does without it where they are not.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
