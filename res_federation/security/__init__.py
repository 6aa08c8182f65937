"""Certificates, tokens, identity, permissions: who may come in, and what they may do."""
