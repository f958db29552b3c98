"""What the stand-in for W&B's server holds of artifacts and the registry, as nodes of the schema beside this file.

graphql-core takes what a query asks for out of the nodes, and calls what can be called.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any

TEAM, ORGANIZATION, ORG_ENTITY = "team", "Acme Inc", "acme_org"
PREFIX = "wandb-registry-"
NOW = "2026-05-01T12:00:00Z"


@dataclass(eq=False)
class Artifact:
    """One version of a source collection."""

    type: str
    digest: str
    metadata: str
    run: str | None
    source: Collection
    tags: list[str] = field(default_factory=list)
    description: str | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    committed: bool = False
    id: str = ""

    @property
    def told(self) -> dict[str, Any]:
        """Its metadata."""
        found: dict[str, Any] = json.loads(self.metadata or "{}")
        return found


@dataclass(eq=False)
class Member:
    """An artifact in a collection."""

    artifact: Artifact
    index: int
    aliases: list[str] = field(default_factory=list)


@dataclass(eq=False)
class Collection:
    """A sequence of a project, or a portfolio of a registry."""

    entity: str
    project: str
    name: str
    members: list[Member] = field(default_factory=list)

    def add(self, artifact: Artifact, aliases: list[str]) -> Member:
        """Take a version in, or find it; the newest is `latest`."""
        member = next((one for one in self.members if one.artifact is artifact), None)
        if member is None:
            self.members.append(member := Member(artifact, len(self.members)))
            aliases = [*aliases, "latest"]
        for alias in aliases:
            self.point(alias, member)
        return member

    def point(self, alias: str, member: Member | None) -> None:
        """Have an alias at this version and at no other one."""
        for one in self.members:
            one.aliases = [other for other in one.aliases if other != alias]
        if member is not None:
            member.aliases.append(alias)


class Nodes:
    """Everything there is."""

    def __init__(self, registries: tuple[str, ...], features: tuple[str, ...]) -> None:
        self.url = ""
        self.registries = [PREFIX + name for name in registries]
        self.collections: dict[tuple[str, str, str], Collection] = {}
        self.artifacts: dict[str, Artifact] = {}
        self.runs: dict[str, str] = {}
        """The project of each."""
        self.protected: set[str] = set()
        """Aliases that this key may not move."""
        self.features = features

    def file_of(self, artifact: str, name: str) -> Any:
        url = f"{self.url}/artifacts/{artifact}/{name}"
        return {"id": "file", "uploadUrl": url, "uploadHeaders": [], "artifact": {"id": artifact}}

    def organization_of(self) -> Any:
        entity = {"id": id_of("Entity", ORG_ENTITY), "name": ORG_ENTITY, "entityType": "organization"}
        return {
            "id": id_of("Organization", "1"),
            "name": ORGANIZATION,
            "orgEntity": entity | {"artifactCollections": self.portfolios_of},
        }

    def org_entity_of(self) -> Any:
        def project(info: Any, name: str) -> Any:
            return self.project_of(ORG_ENTITY, name) if name in self.registries else None

        return self.organization_of()["orgEntity"] | {"project": project, "organization": self.organization_of()}

    def portfolios_of(self, info: Any, filters: str | None = None, **how: Any) -> Any:
        wanted, of = json.loads(filters or "{}"), json.loads(how.get("projectFilters") or "{}")
        assert set(wanted) <= {"name"} and set(of) <= {"name", "id"}, "filters that are not known here"
        nodes = [
            self.collection_of(one)
            for one in self.collections.values()
            if one.entity == ORG_ENTITY
            and wanted.get("name", one.name) == one.name
            and of.get("name", one.project) == one.project
            and of.get("id", self.number_of(one.project)) == self.number_of(one.project)
        ]
        return connection(nodes)

    def number_of(self, registry: str) -> int:
        return 1 + self.registries.index(registry)

    def project_of(self, entity: str, project: str) -> Any:
        number = str(self.number_of(project)) if project in self.registries else "100"
        return {
            "id": id_of("Project", number),
            "internalId": id_of("ProjectInternalId", number),
            "name": project,
            "entity": {"id": id_of("Entity", entity), "name": entity, "organization": self.organization_of()},
            "createdAt": NOW,
            "access": "PRIVATE",
            "readOnly": False,
            "allowAllArtifactTypesInRegistry": False,
            "artifactTypes": {"edges": [{"node": {"name": "model"}}]},
            "artifactType": lambda info, name: self.type_of(name, entity, project),
            "run": lambda info, name: self.run_of(name, project),
            "artifactCollectionMembership": lambda info, name: self.member_of(entity, project, name),
        }

    def type_of(self, name: str, entity: str = "", project: str = "") -> Any:
        def collection(info: Any, name: str) -> Any:
            found = self.collections.get((entity, project, name))
            return self.collection_of(found) if found else None

        return {"id": id_of("ArtifactType", name), "name": name, "artifactCollection": collection}

    def run_of(self, name: str, project: str) -> Any:
        if self.runs.get(name) != project:
            return None
        logged = [self.artifact_of(one) for one in self.artifacts.values() if one.run == name and one.committed]
        about: dict[str, Any] = {
            "id": id_of("Run", name),
            "projectId": "100",
            "name": name,
            "createdAt": NOW,
            "state": "finished",
        }
        about["user"] = {"name": "Ada", "username": "ada"}
        return about | {"outputArtifacts": lambda info, **how: connection(logged)}

    def collection_of(self, one: Collection) -> Any:
        def artifacts(info: Any, **how: Any) -> Any:
            members = [one_ for one_ in one.members if one_.artifact.committed]
            found = connection([self.artifact_of(member.artifact) for member in members])
            for edge, member in zip(found["edges"], members, strict=True):
                edge["version"] = f"v{member.index}"
            return found

        return {
            "__typename": "ArtifactPortfolio" if one.entity == ORG_ENTITY else "ArtifactSequence",
            "id": id_of("ArtifactCollection", f"{one.project}/{one.name}"),
            "name": one.name,
            "createdAt": NOW,
            "project": self.project_of(one.entity, one.project),
            "defaultArtifactType": self.type_of("model"),
            "tags": {"edges": []},
            "artifacts": artifacts,
            "latestArtifact": None,
        }

    def member_of(self, entity: str, project: str, name: str) -> Any:
        collection, _, alias = name.partition(":")
        found = self.collections[entity, project, collection]
        member = next(one for one in found.members if alias in (*one.aliases, f"v{one.index}"))
        return self.membership_of(found, member)

    def membership_of(self, collection: Collection, member: Member) -> Any:
        return {
            "id": id_of("ArtifactCollectionMembership", f"{collection.name}/{member.index}"),
            "versionIndex": member.index,
            "createdAt": NOW,
            "aliases": [self.alias_of(alias) for alias in (*member.aliases, f"v{member.index}")],
            "artifactCollection": self.collection_of(collection),
            "artifact": self.artifact_of(member.artifact),
        }

    def alias_of(self, alias: str) -> Any:
        return {"id": id_of("ArtifactAlias", alias), "alias": alias}

    def artifact_of(self, one: Artifact) -> Any:
        (index,) = (member.index for member in one.source.members if member.artifact is one)
        aliases = [
            self.alias_of(alias) | {"artifactCollection": self.collection_of(collection)}
            for collection in self.collections.values()
            for member in collection.members
            if member.artifact is one
            for alias in (*member.aliases, f"v{member.index}")
        ]
        return {
            "id": one.id,
            "artifactSequence": self.collection_of(one.source),
            "versionIndex": index,
            "artifactType": {"id": id_of("ArtifactType", one.type), "name": one.type},
            "description": one.description,
            "metadata": one.metadata,
            "ttlDurationSeconds": -2,
            "ttlIsInherited": True,
            "tags": [{"id": id_of("Tag", tag), "name": tag} for tag in one.tags],
            "state": "COMMITTED" if one.committed else "PENDING",
            "size": 1,
            "digest": one.digest,
            "digestAlgorithm": "MANIFEST_MD5",
            "fileCount": 1,
            "createdAt": NOW,
            "aliases": aliases,
        }


def connection(nodes: list[Any]) -> Any:
    """A page with all of it."""
    page = {"endCursor": None, "hasNextPage": False}
    return {"totalCount": len(nodes), "pageInfo": page, "edges": [{"node": node} for node in nodes]}


def id_of(kind: str, name: str) -> str:
    """An id as W&B gives them."""
    return base64.b64encode(f"{kind}:{name}".encode()).decode()
