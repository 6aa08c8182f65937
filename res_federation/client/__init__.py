"""`res_federation.client`: what users import. The command line stands on it."""
