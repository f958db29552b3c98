"""The module `neptune_scale.projects`: the local store in the place of a server."""

from __future__ import annotations

import autotrack


def create_project(
    name: str,
    *,
    workspace: str | None = None,
    visibility: str = "priv",
    description: str | None = None,
    key: str | None = None,
    fail_if_exists: bool = False,
    api_token: str | None = None,
) -> str:
    """Nothing: a project is there once it has a run. Gives its name, with the workspace."""
    return f"{workspace}/{name}" if workspace and "/" not in name else name


def extract_workspace_and_project(name: str, workspace: str | None = None) -> tuple[str, str]:
    """The workspace and the project in a name. Raises `ValueError` where one is missing, or both name workspaces."""
    before, _, project = name.rpartition("/")
    if not (before or workspace) or (before and workspace and before != workspace) or "/" in before or not project:
        raise ValueError(f"{name!r} with workspace={workspace!r} is no project's name")
    return before or workspace or "", project


def normalize_project_name(name: str, workspace: str | None = None) -> str:
    """The name with its workspace."""
    return "/".join(extract_workspace_and_project(name, workspace))


def list_projects(*, api_token: str | None = None) -> list[str]:
    """The projects that have runs in the local store."""
    return sorted({run["project"] for run in autotrack.runs()})


__all__ = ["create_project", "extract_workspace_and_project", "list_projects", "normalize_project_name"]
