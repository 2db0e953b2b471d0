"""Connecting tools: their configuration files are changed, checked by a live request, and undone.

``tools`` says, one file a tool, which settings go where. ``formats`` writes them into a text and
touches nothing else. ``files`` reads and replaces files as they are (symbolic links, byte order
mark, line endings, rights). ``ledger`` remembers what a file was, so that a change can be undone at
any time. ``probe`` asks this server the way the tool does. ``connector`` joins them; ``console`` is
``main.py connect``, the page is ``webui/connect.py``. See docs/decisions/0018.
"""
