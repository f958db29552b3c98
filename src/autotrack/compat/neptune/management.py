"""The module `neptune.management`: of what administers a server, only the list of projects has an answer here.

Everything else is passed over with one warning, and gives an empty mapping.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, Final

import autotrack
from autotrack.plugin import warn_once


class MemberRole:
    """What a member of a project may do."""

    VIEWER: Final = "viewer"
    OWNER: Final = "owner"
    CONTRIBUTOR: Final = "contributor"
    MEMBER: Final = CONTRIBUTOR
    MANAGER: Final = OWNER


class ProjectVisibility:
    """Who sees a project."""

    PRIVATE: Final = "priv"
    PUBLIC: Final = "pub"
    WORKSPACE: Final = "workspace"


class WorkspaceMemberRole(Enum):
    """What a member of a workspace may do."""

    MEMBER = "member"
    ADMIN = "admin"


def get_project_list(*, api_token: str | None = None) -> list[str]:
    """The projects that have runs in the local store."""
    return sorted({run["project"] for run in autotrack.runs()})


def create_project(
    name: str,
    *,
    key: str | None = None,
    workspace: str | None = None,
    visibility: str = "priv",
    description: str | None = None,
    api_token: str | None = None,
) -> str:
    """Nothing: a project is there once it has a run. Gives its name, with the workspace."""
    return f"{workspace}/{name}" if workspace and "/" not in name else name


def _nothing(name: str) -> Callable[..., Any]:
    def administer(*args: Any, **kwargs: Any) -> dict[str, Any]:
        warn_once(f"neptune:{name}", f"neptune drop-in: management.{name}: there is no server to administer")
        return {}

    administer.__name__ = name
    administer.__doc__ = "Nothing: there is no server."
    return administer


add_project_member = _nothing("add_project_member")
add_project_service_account = _nothing("add_project_service_account")
clear_trash = _nothing("clear_trash")
delete_objects_from_trash = _nothing("delete_objects_from_trash")
delete_project = _nothing("delete_project")
get_project_member_list = _nothing("get_project_member_list")
get_project_service_account_list = _nothing("get_project_service_account_list")
get_workspace_member_list = _nothing("get_workspace_member_list")
get_workspace_service_account_list = _nothing("get_workspace_service_account_list")
get_workspace_status = _nothing("get_workspace_status")
invite_to_workspace = _nothing("invite_to_workspace")
remove_project_member = _nothing("remove_project_member")
remove_project_service_account = _nothing("remove_project_service_account")
trash_objects = _nothing("trash_objects")

__all__ = [
    "MemberRole",
    "ProjectVisibility",
    "WorkspaceMemberRole",
    "add_project_member",
    "add_project_service_account",
    "clear_trash",
    "create_project",
    "delete_objects_from_trash",
    "delete_project",
    "get_project_list",
    "get_project_member_list",
    "get_project_service_account_list",
    "get_workspace_member_list",
    "get_workspace_service_account_list",
    "get_workspace_status",
    "invite_to_workspace",
    "remove_project_member",
    "remove_project_service_account",
    "trash_objects",
]
