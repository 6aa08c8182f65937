"""Ways to spread a round over machines. The only room that imports Ray."""
