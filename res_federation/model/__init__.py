"""The nouns: frozen values, standard library only. Must never do I/O or know another room."""
