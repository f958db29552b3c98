"""`autotrack plugins`: what was found, what it offers, and what keeps it from working."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import click

from autotrack import guard
from autotrack.cli.printing import clean, json_option, print_heading, print_json, print_table
from autotrack.session import session


@click.command(epilog="\b\nExample:\n  autotrack plugins --json")
@json_option
def plugins(as_json: bool) -> None:
    """List the plugins with their integrations, backends, importers and gates."""
    told = described()
    if as_json:
        print_json(told)
        return
    print_heading("integrations")
    columns = ["name", "product", "installed", "requires", "problem"]
    print_table(columns, ([one[column] for column in columns] for one in told["integrations"]))
    print_heading("backends")
    columns = ["name", "configured", "factory", "extra"]
    print_table(columns, ([one[column] for column in columns] for one in told["backends"]))
    print_heading("importers")
    columns = ["name", "place", "factory", "extra"]
    print_table(columns, ([one[column] for column in columns] for one in told["importers"]))
    print_heading("gates")
    print_table(["name", "about"], ([one["name"], one["about"]] for one in told["gates"]))
    if told["problems"]:
        print_heading("problems")
        for problem in told["problems"]:
            click.echo(clean(problem))


def described() -> dict[str, Any]:
    """Every plugin, integration, backend, importer and gate of this environment."""
    from autotrack.plugins import plugins as loaded
    from autotrack.plugins import unmet
    from autotrack.registry.gates import known

    configured = session.settings.backends
    guard.quiet = True  # what cannot be loaded is told below
    loaded.load()
    integrations = [
        {
            "name": one.name,
            "module": one.module,
            "product": one.module.partition(".")[0],
            "installed": _is_installed(one.module),
            "requires": list(one.requires),
            "problem": unmet(one.requires),
        }
        for _, one in sorted(loaded.integrations.items())
    ]
    problems = [f"plugin {one.name} ({one.module}): {one.problem}" for one in loaded.found if one.problem]
    problems += [f"{one['name']}: {one['problem']}" for one in integrations if one["problem"]]
    problems += [
        f"AUTOTRACK_BACKENDS names {name}, and no plugin offers it"
        for name in configured
        if name not in loaded.backends
    ]
    return {
        "found": [{"name": one.name, "module": one.module, "problem": one.problem} for one in loaded.found],
        "integrations": integrations,
        "backends": [
            {"name": one.name, "factory": one.factory, "extra": one.extra, "configured": one.name in configured}
            for _, one in sorted(loaded.backends.items())
        ],
        "importers": [
            {"name": one.name, "place": one.place, "factory": one.factory, "extra": one.extra}
            for _, one in sorted(loaded.importers.items())
        ],
        "gates": [{"name": one.name, "about": one.about, "check": one.check} for one in known().values()],
        "problems": problems,
    }


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module.partition(".")[0]) is not None
    except (ImportError, ValueError):
        return False
