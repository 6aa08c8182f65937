"""Usage, fair share: arithmetic without clocks."""
