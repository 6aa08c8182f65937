"""Version 1 of the API, generated from proto/res_federation/api/v1."""
