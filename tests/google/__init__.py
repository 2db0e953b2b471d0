"""A faithful, scriptable Google: sign-in, Code Assist, the Gemini API and Vertex AI as one pure
handler.

``google.FakeGoogle.handle(FakeRequest) -> FakeResponse`` has no socket and no clock of its own;
``transport.py`` puts it behind httpx in the same process, ``serving.py`` behind a loopback socket
(``python -m tests.google``).

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

What a sound Gemini API reads, refuses, counts and answers is ``server/demo``, which ships. Here:

    http.py       requests, responses, and refusals of any kind
    messages.py   the messages of the cloud's doors, and those that embed
    catalogue.py  when, where and for whom a model is served;  table.py: the models themselves,
                  from the dossier
    doors.py      where the doors differ in what they refuse
    keys.py       API keys of different pasts, and how Google refuses them
    model.py      the scripted model: a valid request -> an answer;  build.py: values for schemas
    continuation.py   answers longer than one request returns
    chunks.py     an answer -> chunks, odd ones too;  wire.py: chunks -> bytes in any framing
    failures.py   everything that can go wrong, to be loaded by tests
    oauth.py      sign-in;  account.py: eligibility and onboarding
    service_accounts.py   keys of service accounts, and tokens for them
    code_assist.py, gemini_api.py, vertex.py   the three doors
    google.py     FakeGoogle: routing, the record

Beside ``server/demo`` it shares no code with the program on purpose: two readings of one document
can disagree, one reading cannot. Facts come from Google's documents and public reports; server
behaviour was never measured against Google.
"""
