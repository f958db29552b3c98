"""What the stand-in for W&B's server answers, and what that changes: no HTTP is here.

`Held` is the root value of a query: graphql-core asks its methods by their names in the schema. The behaviour is that
of W&B's documentation: an alias is at one version of a collection, `latest` at the one that was linked last, tags and
metadata are the source artifact's, only administrators move protected aliases, and a registry takes artifacts of its
own organization's teams alone.
"""

from __future__ import annotations

import json
import re
from typing import Any

from wandb_double import Refusal
from wandb_nodes import ORG_ENTITY, ORGANIZATION, TEAM, Artifact, Collection, Member, Nodes, id_of

TAG = re.compile(r"[-\w]+( +[-\w]+)*", re.ASCII)


class Held(Nodes):
    """Everything there is, and what may be done with it."""

    # What is asked.

    def viewer(self, info: Any) -> Any:
        team = {"node": {"name": TEAM}}
        return {"id": id_of("User", "ada"), "entity": TEAM, "username": "ada", "email": "", "teams": {"edges": [team]}}

    def serverInfo(self, info: Any) -> Any:
        return {"features": [{"name": one, "isEnabled": True} for one in self.features]}

    def entity(self, info: Any, name: str | None = None) -> Any:
        if name == ORG_ENTITY:
            return self.org_entity_of()
        team = {"id": id_of("Entity", TEAM), "name": TEAM, "organization": self.organization_of()}
        return team if name == TEAM else None

    def organization(self, info: Any, name: str) -> Any:
        return self.organization_of() if name == ORGANIZATION else None

    def project(self, info: Any, name: str = "", **entity: Any) -> Any:
        whose = entity.get("entityName") or TEAM
        known = self.registries if whose == ORG_ENTITY else self.runs.values() if whose == TEAM else ()
        return self.project_of(whose, name) if name in known else None

    # What is changed.

    def linkArtifact(self, info: Any, **given: Any) -> Any:
        one = given["input"]
        artifact = self._known(one["artifactID"])
        key = one["entityName"], one["projectName"], one["artifactPortfolioName"]
        if key[0] != ORG_ENTITY or artifact.source.entity != TEAM or not artifact.committed:
            raise Refusal(400, "linking is only allowed within the same team or to your organization's registry")
        if key[1] not in self.registries:
            raise Refusal(404, f"project {key[1]} not found")
        if not re.fullmatch(r"[\w.-]{1,128}", key[2], re.ASCII):
            raise Refusal(400, "invalid collection name")
        collection = self.collections.setdefault(key, Collection(*key))
        member = collection.add(artifact, [alias["alias"] for alias in one.get("aliases") or ()])
        return {"versionIndex": member.index, "artifactMembership": self.membership_of(collection, member)}

    def addAliases(self, info: Any, **given: Any) -> Any:
        for collection, member, alias in self._aliases(given["input"]):
            collection.point(alias, member)
        return {"success": True}

    def deleteAliases(self, info: Any, **given: Any) -> Any:
        for collection, member, alias in self._aliases(given["input"]):
            if alias not in member.aliases:
                raise Refusal(404, f"alias {alias} not found")
            collection.point(alias, None)
        return {"success": True}

    def updateArtifact(self, info: Any, **given: Any) -> Any:
        one = given["input"]
        artifact = self._known(one["artifactID"])
        if one.get("metadata") is not None:
            if len(json.loads(one["metadata"])) > 100:
                raise Refusal(400, "more than 100 keys")
            artifact.metadata = one["metadata"]
        gone = {tag["tagName"] for tag in one.get("tagsToDelete") or ()}
        added = [tag["tagName"] for tag in one.get("tagsToAdd") or ()]
        if not all(TAG.fullmatch(tag) for tag in added):
            raise Refusal(400, f"invalid tag in {added}")
        artifact.tags = list(dict.fromkeys([*(tag for tag in artifact.tags if tag not in gone), *added]))
        return {"artifact": self.artifact_of(artifact)}

    def upload(self, name: str, given: Any) -> Any:
        """What `wandb sync` asks to have an artifact taken: requests of its compiled part, which are not checked."""
        one = given.get("input") or given
        if name == "CreateArtifact":
            artifact = self._created(one)
            latest = {"id": artifact.id, "state": "COMMITTED" if artifact.committed else "PENDING"}
            return {"createArtifact": {"artifact": latest | {"artifactSequence": {"latestArtifact": None}}}}
        if name == "CreateArtifactManifest":
            manifest = {"id": "manifest", "file": self.file_of(one["artifactID"], "manifest")}
            return {"createArtifactManifest": {"artifactManifest": manifest}}
        if name == "CreateArtifactFiles":
            edges = [{"node": self.file_of(file["artifactID"], file["name"])} for file in one["artifactFiles"]]
            return {"createArtifactFiles": {"files": {"edges": edges}}}
        artifact = self._known(one["artifactID"])
        artifact.committed = True
        return {"commitArtifact": {"artifact": {"id": artifact.id, "digest": artifact.digest}}}

    def _created(self, one: Any) -> Artifact:
        key = one.get("entityName") or TEAM, one["projectName"], one["artifactCollectionName"]
        source = self.collections.setdefault(key, Collection(*key))
        found = next((member.artifact for member in source.members if member.artifact.digest == one["digest"]), None)
        if found is None:
            kind, metadata = one["artifactTypeName"], one.get("metadata") or "{}"
            found = Artifact(kind, one["digest"], metadata, one.get("runName"), source)
            found.id = id_of("Artifact", str(len(self.artifacts) + 1))
            self.artifacts[found.id] = found
        source.add(found, [alias["alias"] for alias in one.get("aliases") or ()])
        return found

    def _known(self, id: str) -> Artifact:
        if id not in self.artifacts:
            raise Refusal(404, f"artifact {id} not found")
        return self.artifacts[id]

    def _aliases(self, given: Any) -> list[tuple[Collection, Member, str]]:
        found, artifact = [], self._known(given["artifactID"])
        for one in given["aliases"]:
            collection = self.collections[one["entityName"], one["projectName"], one["artifactCollectionName"]]
            member = next(member for member in collection.members if member.artifact is artifact)
            if one["alias"] in self.protected:
                raise Refusal(403, f"permission denied: the alias {one['alias']} is protected")
            found.append((collection, member, one["alias"]))
        return found
