"""The broker process: a shell of sockets, time and disk around `control` and `placement`."""
