"""The command line: a file a group of commands, output made in one place."""
