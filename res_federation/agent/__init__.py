"""The site agent process: dials out, keeps a journal, drives a batch system."""
