"""The federation as a state machine: events in, effects out. No clock, no sockets."""
