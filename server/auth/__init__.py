"""Google sign-in: clients, grants, tokens and their files, Application Default Credentials."""
