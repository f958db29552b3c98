"""`autotrack doctor`: what is set, from where, and what does not work."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Any, Final

import click

from autotrack import settings as settings_module
from autotrack.cli.plugins import described as described_plugins
from autotrack.cli.printing import clean, json_option, print_heading, print_json, print_table, print_text
from autotrack.errors import AutotrackError
from autotrack.session import session
from autotrack.settings import Settings

LAST: Final = 5
"""Lines of the forwarder's log that are shown."""

_OWN: Final = ("click", "msgspec", "numpy", "pluggy", "psutil", "requests", "rich", "sqlalchemy", "xxhash")
_TROUBLE: Final = re.compile(r"ERROR|WARNING|CRITICAL|^\w*(Error|Exception)\b")
_QUERY: Final = re.compile(r"([?&;])([^=&;\s]+)=([^&;\s]*)")


@click.command(epilog="\b\nExample:\n  autotrack doctor --json | jq .problems")
@json_option
def doctor(as_json: bool) -> None:
    """Tell every setting with its origin, and whether home, store, backends, journals and plugins are well."""
    told = examine(session.settings)
    if as_json:
        print_json(told)
    else:
        _print(told)


def examine(settings: Settings) -> dict[str, Any]:
    """Everything that the command tells, secrets masked."""
    plugins = described_plugins()
    backends = _backends(settings, {one["name"] for one in plugins["backends"]})
    home, store, journals, log = _home(settings), _store(settings), _journals(settings), _log(settings)
    rows = _settings(settings)
    problems = [
        f"{row['variable']} holds a value that cannot be used: the default holds" for row in rows if row["ignored"]
    ]
    problems += [home["problem"]] if home["problem"] else []
    problems += [f"store: {store['problem']}"] if store["problem"] else []
    problems += [f"{one['name']}: {one['problem']}" for one in backends if one["problem"]]
    problems += [
        f"{one['backend']} lacks events of {one['journals']} journals "
        f"({one['problem'] or 'no forwarder has come to it'}): autotrack sync"
        for one in journals["undelivered"]
    ]
    return {
        "settings": rows,
        "home": home,
        "store": store,
        "backends": backends,
        "journals": journals,
        "forwarder_log": log,
        "plugins": plugins,
        "versions": _versions(plugins),
        "problems": problems + plugins["problems"],
    }


def masked(text: str) -> str:
    """`text` without passwords: those of logins in URLs and of secret-looking parts of a query."""
    from autotrack.provenance.params import is_secret, mask_urls

    return _QUERY.sub(
        lambda part: f"{part[1]}{part[2]}=***" if is_secret(part[2]) else part[0],
        mask_urls(text),
    )


def _settings(settings: Settings) -> list[dict[str, Any]]:
    effective = {"home": settings.resolved_home, "project": settings.resolved_project}
    rows = []
    for name, variable, _, meaning in settings_module.described():
        value = effective.get(name, getattr(settings, name))
        origin = settings.origins[name]
        given = os.environ.get(variable, "").strip()
        rows.append(
            {
                "name": name,
                "variable": variable,
                "value": _jsonable(value),
                "origin": origin,
                "ignored": bool(given) and origin == "default",
                "meaning": meaning,
            }
        )
    return rows


def _jsonable(value: Any) -> Any:
    if isinstance(value, tuple):
        return [masked(part) for part in value]
    return value if isinstance(value, bool | int | float | None) else masked(str(value))


def _home(settings: Settings) -> dict[str, Any]:
    home = settings.resolved_home
    place = home
    while not place.exists() and place != place.parent:
        place = place.parent
    writable = place.is_dir() and os.access(place, os.W_OK | os.X_OK)
    problem = None if writable else f"{home} cannot be written: point AUTOTRACK_HOME at a folder that can"
    return {"path": str(home), "exists": home.is_dir(), "writable": writable, "problem": problem}


def _store(settings: Settings) -> dict[str, Any]:
    file = settings.resolved_home / "store.db"
    place = masked(settings.store_url) if settings.store_url else str(file)
    if settings.blobs_url is not None:
        place = f"{place}, files in {masked(settings.blobs_url)}"
    told: dict[str, Any] = {"place": place, "reachable": None, "problem": None}
    if settings.store_url is None and not file.is_file():
        return told  # it is made by the first run, not by looking
    from autotrack.store.query import Store

    try:
        with Store.open(settings.resolved_home, settings) as store:
            store.runs(limit=1)
        if settings.blobs_url is not None:
            from autotrack.store.objects import ObjectStore

            ObjectStore(settings.blobs_url).size("0" * 64)
    except AutotrackError as problem:
        return told | {"reachable": False, "problem": masked(str(problem))}
    return told | {"reachable": True}


def _backends(settings: Settings, known: set[str]) -> list[dict[str, Any]]:
    """What each says that is configured: but for the local store, of which `_store` speaks, and those that no plugin
    offers, of which the problems do.
    """
    from autotrack.cli.checking import check

    names = [name for name in dict.fromkeys(settings.backends) if name in known and name != "local"]
    return [
        one | {"told": one["told"] and masked(one["told"]), "problem": one["problem"] and masked(one["problem"])}
        for one in check(settings, names)
    ]


def _journals(settings: Settings) -> dict[str, Any]:
    from autotrack.forward.progress import Progress
    from autotrack.journal.liveness import is_alive
    from autotrack.journal.reader import archived, journals

    home = settings.resolved_home
    waiting, kept = journals(home), archived(home)
    writing = {folder for folder in waiting if is_alive(folder)}
    undelivered = []
    for backend in settings.backends:
        lacking = [folder for folder in waiting if folder not in writing]
        if backend != "local":
            lacking += kept
        states = [Progress(home, folder.name, backend) for folder in lacking]
        states = [one for one in states if not one.done]
        if states:
            why = next((one.problem for one in states if one.problem), None)
            undelivered.append({"backend": backend, "journals": len(states), "problem": why and masked(why)})
    return {"waiting": len(waiting), "being_written": len(writing), "archived": len(kept), "undelivered": undelivered}


def _log(settings: Settings) -> dict[str, Any]:
    path = settings.resolved_home / "forwarder.log"
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - (1 << 18)))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        lines = []
    return {"path": str(path), "last_errors": [masked(line) for line in lines if _TROUBLE.search(line)][-LAST:]}


def _versions(plugins: dict[str, Any]) -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, packages_distributions, version

    from autotrack import __version__

    told = {"autotrack": __version__, "python": platform.python_version()}
    providers = packages_distributions()
    products = {one["product"] for one in plugins["integrations"] if one["installed"]}
    for name in [*_OWN, *sorted({each for product in products for each in providers.get(product, ())})]:
        try:
            told[name] = version(name)
        except PackageNotFoundError:
            continue
    return told


def _print(told: dict[str, Any]) -> None:
    print_table(["setting", "value", "origin", "variable"], ([*_shown(row)] for row in told["settings"]))
    home, store, journals = told["home"], told["store"], told["journals"]
    print_heading("state")
    words = {None: "not made yet", True: "reachable", False: "not reachable"}
    made = "exists" if home["exists"] else "not made yet"
    rows = [
        ("home", f"{home['path']} ({made}, {'writable' if home['writable'] else 'not writable'})"),
        ("store", f"{store['place']} ({words[store['reachable']]})"),
        *((f"backend {one['name']}", _state(one)) for one in told["backends"]),
        (
            "journals",
            f"{journals['waiting']} here ({journals['being_written']} being written), {journals['archived']} archived",
        ),
        ("plugins", ", ".join(one["name"] for one in told["plugins"]["found"])),
        ("versions", ", ".join(f"{name} {version}" for name, version in told["versions"].items())),
    ]
    print_table(["", ""], rows)
    if told["forwarder_log"]["last_errors"]:
        print_heading(f"last errors in {Path(told['forwarder_log']['path'])}")
        print_text("\n".join(told["forwarder_log"]["last_errors"]))
    print_heading("problems")
    for problem in told["problems"] or ["none"]:
        click.echo(clean(problem))


def _state(backend: dict[str, Any]) -> str:
    if not backend["reachable"]:
        return "not reachable"
    return f"{backend['told'] or 'reachable'} ({backend['seconds']:g} s)"


def _shown(row: dict[str, Any]) -> tuple[str, str, str, str]:
    value = row["value"]
    text = ",".join(value) if isinstance(value, list) else "" if value is None else str(value)
    return row["name"], text, row["origin"], row["variable"]
