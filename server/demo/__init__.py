"""The Gemini API that the demo upstream answers from, in this process: no account, no network.

    gemini_api.py    lists, counts and answers;  errors.py: refusals in Google's shape
    catalogue.py     the models: those of the program's data file
    proto.py         JSON read as protocol buffers: unknown names and wrong types, with their paths
    messages.py      what it takes, field by field
    rules.py         what it refuses in tools and settings;  turns.py: in the conversation itself
    signatures.py    thought signatures
    tokens.py        how tokens are counted, and which prefix is cached
    model.py         the demo's model, which nothing can act on;  harmless.py: its values and words
    answers.py       what was asked and answered, with thoughts, limits and signatures
    server_tools.py  what Google ran itself, beside functions
    stream.py        an answer -> chunks -> events

It is as strict as Google. The tests' fake Google (``tests/google``) is built on it and adds
accounts, other doors, other days, and everything that can go wrong.
"""
