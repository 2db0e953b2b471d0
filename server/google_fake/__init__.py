"""A faithful, scriptable Google: sign-in, Code Assist, the Gemini API and Vertex AI as one pure
handler.

``google.FakeGoogle.handle(FakeRequest) -> FakeResponse`` has no socket and no clock of its own;
``transport.py`` puts it behind httpx in the same process (that is the ``demo`` upstream),
``serving.py`` behind a loopback socket (tests, and ``python -m server.google_fake``).

Everything is as strict as Google by default, and the key is a new free one. What tests set (each
is a field of ``FakeGoogle`` and may change between requests):

    history=NEW_FREE            the past of every key in ``api_keys`` (``keys.py``: NEW_FREE,
                                NEW_PAID, OLD_FREE, OLD_PAID, LEAKED, EXPIRED, INVALID, BLOCKED,
                                STANDARD, ABROAD); closed and paid models follow from it
    keys={"k": LEAKED}          single keys with a past of their own
    old_vertex_projects={...}   projects that may still use the 2.5 family on Vertex AI
    today="2026-12-01"          the calendar (else the date of ``now``): ends, closings and silent
                                re-routes of ``table.py`` follow it (2.5 Pro answers as 3.8 Flash
                                from that day on); ``modelVersion`` names who answered
    hop_tokens=30               what a 4.x model returns at once; above it ``CONTINUATION`` and a
                                token, in the middle of a stream a checkpoint
    served_tier="standard"      the service tier served whatever was asked for
    fail(...), answers, limit   single failures, prepared answers, a request limit

What tests read: ``requests`` (each ``Recorded`` says whether Google ``stored`` it).

    http.py       requests, responses, and refusals in Google's shape
    proto.py      JSON read as protocol buffers: unknown names and wrong types, with their paths
    messages.py   the messages both APIs take
    catalogue.py  what is known of a model;  table.py: the models themselves, from the dossier
    keys.py       API keys of different pasts, and how Google refuses them
    rules.py      what Google refuses in tools and settings;  turns.py: in the conversation itself
    tokens.py     how tokens are counted, and which prefix is cached
    model.py      the scripted model: a valid request -> an answer;  build.py: values for schemas
    demo.py       the demo's model, which nothing can act on;  harmless.py: its values and words
    server_tools.py   what Google ran itself, beside functions
    continuation.py   answers longer than one request returns
    stream.py     an answer -> chunks -> bytes
    failures.py   everything that can go wrong, to be loaded by tests
    oauth.py      sign-in;  account.py: eligibility and onboarding
    service_accounts.py   keys of service accounts, and tokens for them
    code_assist.py, gemini_api.py, vertex.py   the three doors
    google.py     FakeGoogle: routing, the record

It shares no code with the client side of this program on purpose: two readings of one document can
disagree, one reading cannot. Facts come from Google's documents and public reports; server
behaviour was never measured against Google.
"""
