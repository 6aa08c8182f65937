"""Who waits to hear of changes. A slow watcher sees the newest state, never a growing backlog."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


MOST_NEWS = 100_000
"""Changes that a watcher may leave unread."""


class Watch(Generic[Key, Value]):
    """One watcher's view: the newest value of each key that changed since it last looked."""

    def __init__(self, wants: Callable[[Key], bool]) -> None:
        """Keep the filter."""
        self.wants = wants
        self._news: dict[Key, Value] = {}
        self._more = asyncio.Event()
        self._closed = False

    def tell(self, key: Key, value: Value) -> None:
        """Note that *key* is now *value*; an older value not yet read is replaced.

        One who does not read is not waited for: the watch ends, and they may open another.
        """
        if self.wants(key) and not self._closed:
            if len(self._news) >= MOST_NEWS:
                self._news.clear()
                self.close()
                return
            self._news.pop(key, None)
            self._news[key] = value
            self._more.set()

    def close(self) -> None:
        """End the stream once what is noted has been read."""
        self._closed = True
        self._more.set()

    async def changes(self) -> AsyncIterator[Value]:
        """Yield values as they change, until closed."""
        while True:
            await self._more.wait()
            self._more.clear()
            news, self._news = self._news, {}
            for value in news.values():
                yield value
            if self._closed and not self._news:
                return


class Watchers(Generic[Key, Value]):
    """Every open watch of one kind of thing."""

    def __init__(self) -> None:
        """Begin with none."""
        self._all: dict[Key, list[Watch[Key, Value]]] = {}
        self._broad: list[Watch[Key, Value]] = []

    @contextmanager
    def watch(self, keys: Iterable[Key] = ()) -> Iterator[Watch[Key, Value]]:
        """Open a watch on *keys*, or on everything when there are none."""
        chosen = frozenset(keys)
        watch: Watch[Key, Value] = Watch(lambda key: not chosen or key in chosen)
        if not chosen:
            self._broad.append(watch)
        for key in chosen:
            self._all.setdefault(key, []).append(watch)
        try:
            yield watch
        finally:
            if not chosen:
                self._broad.remove(watch)
            for key in chosen:
                self._all[key].remove(watch)
                if not self._all[key]:
                    del self._all[key]

    @property
    def watched(self) -> tuple[Key, ...] | None:
        """The keys that anybody watches, None where somebody watches everything."""
        return None if self._broad else tuple(self._all)

    def tell(self, key: Key, value: Value) -> None:
        """Tell everyone who wants to know of *key*."""
        for watch in self._all.get(key, ()):
            watch.tell(key, value)
        for watch in self._broad:
            watch.tell(key, value)

    def close(self) -> None:
        """End every watch (the broker goes down)."""
        for watch in [*self._broad, *(w for watches in self._all.values() for w in watches)]:
            watch.close()
