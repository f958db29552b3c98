"""A stand-in for W&B's server that also takes artifacts of runs and keeps a registry, for W&B's own client.

Each request for artifacts and the registry is checked: its document against the schema beside this file and, field by
field, against what the SDK has generated under that name; its inputs against the SDK's own types. What the SDK would
not send is refused and kept in `violations`. What is held, and how it behaves, is in `wandb_held`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

import jsonschema
from graphql import DocumentNode, OperationDefinitionNode, build_schema, execute_sync, parse, validate
from graphql.language import FieldNode, FragmentDefinitionNode, FragmentSpreadNode, InlineFragmentNode
from wandb_double import Double, Refusal
from wandb_held import Held
from wandb_nodes import ORG_ENTITY, PREFIX, TEAM, Collection
from wandb_operations import operations

SCHEMA = build_schema((Path(__file__).parent / "wandb_registry.graphql").read_text())
FEATURES = (
    "ARTIFACT_REGISTRY_SEARCH",
    "ARTIFACT_MEMBERSHIP_IN_LINK_ARTIFACT_RESPONSE",
    "ARTIFACT_DIGEST_ALGORITHM",
    "ARTIFACT_TAGS",
)
GENERATED = (
    "ServerFeaturesQuery",
    "GetDefaultEntity",
    "FetchOrgInfoFromEntity",
    "FetchOrganization",
    "FetchRegistry",
    "RegistryCollections",
    "ProjectArtifacts",
    "ArtifactMembershipByName",
    "RunOutputArtifacts",
    "LinkArtifact",
    "AddAliases",
    "DeleteAliases",
    "UpdateArtifact",
    "IsProjectReadOnly",
)
"""Operations that the SDK has generated."""
BY_HAND = ("Run", "Viewer")
"""Others of its operations: they are checked against the schema alone."""
UPLOADS = ("CreateArtifact", "CreateArtifactManifest", "CreateArtifactFiles", "CommitArtifact")


class Registry(Double):
    """The server. A context manager."""

    def __init__(self, *registries: str, features: tuple[str, ...] = FEATURES) -> None:
        super().__init__()
        self.held = Held(registries or ("model",), features)
        self.refuse: dict[str, Refusal] = {}
        """How requests of these names are answered."""
        self.violations: list[str] = []
        for name in GENERATED:
            problems = validate(SCHEMA, parse(operations()["operations"][name]))
            assert not problems, f"the schema is not the SDK's in {name}: {problems}"

    def __enter__(self) -> Registry:
        super().__enter__()
        self.held.url = self.url
        return self

    def collection(self, name: str, registry: str = "model") -> Collection:
        """One of the registry's."""
        return self.held.collections[ORG_ENTITY, PREFIX + registry, name]

    def answer(self, path: str, body: bytes) -> Any:
        """What is answered to one request."""
        if self.status == 200 and path.startswith("/artifacts/"):
            _, _, id, name = path.split("/", 3)
            self.held.artifacts[id].files[name] = body
            return {}
        if path == "/refuse":  # what a test's program in another process wants: `{name: [status, message]}`
            self.refuse = {name: Refusal(*answer) for name, answer in json.loads(body).items()}
            return {}
        return super().answer(path, body)

    def _query(self, name: str, query: str, variables: dict[str, Any]) -> Any:
        if name in self.refuse:
            raise self.refuse[name]
        if name in UPLOADS:
            return self.held.upload(name, variables)
        if name not in GENERATED and name not in BY_HAND:
            if name == "UpsertBucket":
                self.held.runs[variables["name"]] = variables.get("project") or ""
                variables = {"entity": TEAM} | {key: value for key, value in variables.items() if value is not None}
            return super()._query(name, query, variables)
        document = parse(query)
        self._check(name, document, variables)
        done = execute_sync(SCHEMA, document, root_value=self.held, variable_values=variables)
        for problem in done.errors or ():
            if isinstance(problem.original_error, Refusal):
                raise problem.original_error
            self._violated(f"{name}: {problem.message}")
        return done.data

    def _check(self, name: str, document: DocumentNode, variables: dict[str, Any]) -> None:
        if problems := validate(SCHEMA, document):
            self._violated(f"{name}: {problems}")
        if name in BY_HAND:
            return
        theirs = parse(operations()["operations"][name])
        if strange := selected(document) - selected(theirs):
            self._violated(f"{name} asks for what the SDK does not: {sorted(strange)}")
        if strange := variables.keys() - types_of(theirs).keys():
            self._violated(f"{name} has variables that the SDK has not: {sorted(strange)}")
        if "input" in variables:
            try:
                jsonschema.validate(variables["input"], closed(operations()["inputs"][types_of(theirs)["input"]]))
            except jsonschema.ValidationError as problem:
                self._violated(f"{name}: {problem.message}")

    def _violated(self, what: str) -> NoReturn:
        self.violations.append(what)
        raise Refusal(400, what)


def operation_of(document: DocumentNode) -> OperationDefinitionNode:
    """The one operation of a document."""
    (found,) = (one for one in document.definitions if isinstance(one, OperationDefinitionNode))
    return found


def types_of(document: DocumentNode) -> dict[str, str]:
    """The variables of a document, with their types."""
    definitions = operation_of(document).variable_definitions
    found: dict[str, str] = {}
    for one in definitions:
        kind: Any = one.type
        while not hasattr(kind, "name"):
            kind = kind.type
        found[one.variable.name.value] = kind.name.value
    return found


def selected(document: DocumentNode) -> set[str]:
    """Every field that a document asks for, as a path with its arguments; fragments are put in their places."""
    fragments = {one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)}
    found: set[str] = set()

    def walk(node: Any, before: str) -> None:
        for one in node.selection_set.selections if node.selection_set else ():
            if isinstance(one, FieldNode):
                arguments = ",".join(sorted(argument.name.value for argument in one.arguments))
                path = f"{before}.{one.name.value}({arguments})"
                found.add(path)
                walk(one, path)
            elif isinstance(one, FragmentSpreadNode):
                walk(fragments[one.name.value], before)
            else:
                assert isinstance(one, InlineFragmentNode)
                walk(one, before)

    walk(operation_of(document), "")
    return found


def closed(schema: Any) -> Any:
    """The JSON Schema, with no properties but those that it names."""
    if isinstance(schema, dict):
        more = {"additionalProperties": False} if "properties" in schema else {}
        return {key: closed(value) for key, value in schema.items()} | more
    return [closed(one) for one in schema] if isinstance(schema, list) else schema
