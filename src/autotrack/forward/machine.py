"""What the machine, and a process with all that it has started, are doing now.

A process id and a folder enter; names and values leave (`docs/system-metrics.md` lists them with their units). Each
source is read by itself: one that raises is told once in the log and not asked again, and the others go on.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import psutil

Values: TypeAlias = dict[str, float]
Source: TypeAlias = Callable[[], Values]

LOOPBACK = ("lo", "Loopback")
"""How the names of interfaces begin that lead nowhere but to this machine."""
NO_DRIVER = ("NVMLError_LibraryNotFound", "NVMLError_DriverNotLoaded")
"""What NVML says on a machine without such a GPU, which is no fault."""

log = logging.getLogger("autotrack.forward")


class Machine:
    """Everything that can be read here. What is a rate or a sum counts from when this was made."""

    def __init__(self, pid: int, home: Path) -> None:
        self._sources: dict[str, Source] = {}
        self._add("processor", Processor)
        self._add("memory", lambda: _memory)
        self._add("processes", partial(Processes, pid))
        self._add("disk", lambda: partial(_disk, home))
        self._add("disk traffic", DiskTraffic)
        self._add("network", NetworkTraffic)
        for name, source in _graphics():
            self._sources[name] = source

    def look(self) -> Values:
        """What all sources say now."""
        values: Values = {}
        for name, source in list(self._sources.items()):
            try:
                values |= source()
            except Exception as problem:
                self._off(name, problem)
        return values

    def _add(self, name: str, make: Callable[[], Source]) -> None:
        try:
            self._sources[name] = make()
        except Exception as problem:
            self._off(name, problem)

    def _off(self, name: str, problem: Exception) -> None:
        log.warning("system metrics: %s cannot be read and is left out from now on: %r", name, problem)
        self._sources.pop(name, None)


class Processor:
    """The share of time that all processors together were busy since the last look."""

    def __init__(self) -> None:
        self._busy, self._all = self._times()

    def __call__(self) -> Values:
        """Nothing where no time has been counted since."""
        before, self._all, was_busy = self._all, 0.0, self._busy
        self._busy, self._all = self._times()
        passed = self._all - before
        return {"system/cpu": min(100.0, max(0.0, 100 * (self._busy - was_busy) / passed))} if passed > 0 else {}

    def _times(self) -> tuple[float, float]:
        times = psutil.cpu_times()
        # Linux counts the time of guests in that of the user as well.
        total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
        return total - times.idle - getattr(times, "iowait", 0.0), total


class Processes:
    """A process with all that it has started, this one apart."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._seconds: dict[Any, float] = {}
        self._looked = time.monotonic()
        self()

    def __call__(self) -> Values:
        """Their resident memory, and the share of one processor's time that they took since the last look."""
        try:
            processes = [self._root, *self._root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return {}
        memory, busy, seconds = 0, 0.0, {}
        for process in processes:
            if process.pid == os.getpid():
                continue
            try:
                with process.oneshot():
                    times, held = process.cpu_times(), process.memory_info().rss
            except psutil.Error:  # it has ended
                continue
            memory += held
            seconds[process] = times.user + times.system
            busy += seconds[process] - self._seconds.get(process, 0.0)
        now = time.monotonic()
        passed, self._looked, self._seconds = now - self._looked, now, seconds
        values: Values = {"system/process/memory": memory} if memory else {}
        return {**values, "system/process/cpu": 100 * busy / passed} if passed > 0 else values


class DiskTraffic:
    """Bytes that all disks of the machine have read and written."""

    def __init__(self) -> None:
        self._before = psutil.disk_io_counters()

    def __call__(self) -> Values:
        """Counted from the beginning; nothing where the system does not tell."""
        now, before = psutil.disk_io_counters(), self._before
        if now is None or before is None:
            return {}
        return {
            "system/disk_read": now.read_bytes - before.read_bytes,
            "system/disk_written": now.write_bytes - before.write_bytes,
        }


class NetworkTraffic:
    """Bytes that went over the machine's interfaces, loopback apart."""

    def __init__(self) -> None:
        self._before = self._counted()

    def __call__(self) -> Values:
        """Counted from the beginning."""
        sent, received = self._counted()
        return {
            "system/network_sent": sent - self._before[0],
            "system/network_received": received - self._before[1],
        }

    def _counted(self) -> tuple[int, int]:
        counted = [
            counters for name, counters in psutil.net_io_counters(pernic=True).items() if not name.startswith(LOOPBACK)
        ]
        return sum(one.bytes_sent for one in counted), sum(one.bytes_recv for one in counted)


def _memory() -> Values:
    memory = psutil.virtual_memory()
    return {"system/memory": memory.percent, "system/memory_used": memory.total - memory.available}


def _disk(home: Path) -> Values:
    return {"system/disk": psutil.disk_usage(str(home)).percent}


def _graphics() -> Iterator[tuple[str, Source]]:
    """What NVML can tell of each GPU, one source a reading: not every GPU has all of them."""
    try:
        import pynvml  # brought by nvidia-ml-py, which many frameworks install
    except ImportError:
        return
    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    except Exception as problem:
        if type(problem).__name__ not in NO_DRIVER:
            log.warning("system metrics: GPUs cannot be read and are left out: %r", problem)
        return
    for index, handle in enumerate(handles):
        for reading in (_utilization, _gpu_memory, _power, _temperature):
            source = partial(reading, pynvml, f"system/gpu/{index}", handle)
            yield f"{reading.__name__.lstrip('_').replace('gpu_', '')} of GPU {index}", source


def _utilization(nvml: Any, name: str, handle: Any) -> Values:
    return {f"{name}/utilization": nvml.nvmlDeviceGetUtilizationRates(handle).gpu}


def _gpu_memory(nvml: Any, name: str, handle: Any) -> Values:
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    return {f"{name}/memory": 100 * memory.used / memory.total, f"{name}/memory_used": memory.used}


def _power(nvml: Any, name: str, handle: Any) -> Values:
    return {f"{name}/power": nvml.nvmlDeviceGetPowerUsage(handle) / 1000}


def _temperature(nvml: Any, name: str, handle: Any) -> Values:
    return {f"{name}/temperature": nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)}
