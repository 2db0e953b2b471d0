"""A faithful, scriptable Google: sign-in, Code Assist, the Gemini API and Vertex AI as one pure
handler.

``google.FakeGoogle.handle(FakeRequest) -> FakeResponse`` has no socket and no clock of its own;
``transport.py`` puts it behind httpx in the same process (that is the ``demo`` upstream),
``serving.py`` behind a loopback socket (tests, and ``python -m server.google_fake``).

    http.py       requests, responses, and refusals in Google's shape
    proto.py      JSON read as protocol buffers: unknown names and wrong types, with their paths
    messages.py   the messages both APIs take
    catalogue.py  the models and what each can do
    rules.py      what Google refuses in tools and settings;  turns.py: in the conversation itself
    tokens.py     how tokens are counted, and which prefix is cached
    model.py      the scripted model: a valid request -> an answer;  build.py: values for schemas
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
