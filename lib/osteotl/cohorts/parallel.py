"""Work spread over processes, with a progress bar."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing.context import BaseContext
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
Result = TypeVar("Result")
FEW = 24  # fewer items are done before a second process has started
tqdm.monitor_interval = 0  # its thread would only refresh bars that stand still
_DECODERS = ["osteotl.cohorts.dicom_film", "imagehash"]  # imported where a film first needs them


def workers() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))


def mapped(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    title: str,
    processes: int | None = None,
    crashed: Callable[[Item], Result] | None = None,
) -> list[Result]:
    """Apply a function to every item, over processes where there are many; results in the order of the items.

    Parameters
    ----------
    function : callable
        Importable by name (a `functools.partial` of such a one will do).
    items : sequence
        Small things that can be sent to a process: paths, settings.
    title : str
        Shown before the progress bar.
    processes : int, optional
        Default: as many as there are processors. An interruption stops them all.
    crashed : callable, optional
        Result for an item that kills its process (a fault in a decoder's C code): the others are still done.
    """
    processes = workers() if processes is None else processes
    bar = partial(tqdm, desc=title, total=len(items), unit="film", mininterval=1.0, leave=False, file=sys.stderr)
    if processes <= 1 or len(items) < FEW:
        return list(bar(map(function, items)))
    context = _context(function)
    chunk = max(1, min(16, len(items) // (4 * processes)))
    with ProcessPoolExecutor(min(processes, len(items)), mp_context=context) as pool:
        try:
            return list(bar(pool.map(function, items, chunksize=chunk)))
        except BrokenProcessPool:
            if crashed is None:
                raise
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return list(bar(_one_by_one(function, items, crashed, context)))


def _context(function: Callable[[Item], Result]) -> BaseContext:
    """How workers start: forked, except from a process that runs threads, as a notebook's kernel does.

    There a server forks them, and imports what they need once for all.
    """
    called: object = function.func if isinstance(function, partial) else function
    needed = [called.__module__, *_DECODERS]
    if threading.active_count() == 1:
        for name in needed:
            importlib.import_module(name)
        return multiprocessing.get_context("fork")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(needed)
    return context


def _one_by_one(
    function: Callable[[Item], Result], items: Sequence[Item], crashed: Callable[[Item], Result], context: BaseContext
) -> Iterator[Result]:
    """Every item alone in a process that is replaced when it dies, to learn which item kills it."""
    waiting = list(reversed(items))
    while waiting:
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            try:
                while waiting:
                    yield pool.submit(function, waiting[-1]).result()
                    waiting.pop()
            except BrokenProcessPool:
                yield crashed(waiting.pop())
