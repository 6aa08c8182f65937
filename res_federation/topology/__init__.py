"""The network between sites, as numbers. The only room that imports networkx."""
