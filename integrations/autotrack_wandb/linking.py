"""The process that changes W&B's registry by W&B's own client: a wish enters as JSON, what became of it leaves so.

It is a process of its own so that it can be ended at a deadline, and so that nobody who delivers imports the SDK. The
wish is how one registered model shall stand; what stands so already is only read. A version is known by the SHA-256 of
its file, which the metadata of its artifact holds. The rest of what is told of a version is in the metadata below
`autotrack`, and the words that people look for are tags.

    in:  {model, collection, registry, organization, entity, versions: [{version, digest, run, project, aliases, told}],
          aliases: every alias that the log has ever known}
    out: {missing: [digest], notes: [[what, why]], problem: text or null, temporary}
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

SECONDS: Final = 30
"""For one request."""
UNDER: Final = "autotrack"
_NOT_IN_A_TAG: Final = re.compile(r"[^A-Za-z0-9_-]+")
_LOGIN: Final = re.compile(r"//[^/\s@]+@")
LONGEST_TAG: Final = 128

Wish: TypeAlias = Mapping[str, Any]


class Linking:
    """Makes one collection of the registry what the wish says."""

    def __init__(self, wish: Wish, api: Any) -> None:
        self._wish = wish
        self._api = api
        self._entity = wish["entity"] or api.default_entity
        self.missing: list[str] = []
        self.notes: list[tuple[str, str]] = []

    def fulfil(self) -> None:
        """Link the versions that are not, then tell of each, then move the aliases. Raises what the SDK raises."""
        wish = self._wish
        registry = self._api.registry(wish["registry"], wish["organization"] or None)
        links = self._links(registry)
        target = f"{registry.entity}/{registry.full_name}/{wish['collection']}"
        for version in wish["versions"]:
            digest = version["digest"]
            if digest not in links:
                source = self._source(version)
                if source is None:
                    self.missing.append(digest)
                elif link := self._done(self._called(version), source.link, target):
                    links[digest] = link
        linked = [version for version in wish["versions"] if version["digest"] in links]
        there = {version["digest"]: (version, links[version["digest"]]) for version in linked}
        for version, link in there.values():
            self._tell(version, link)
        self._move_aliases(there)

    def _links(self, registry: Any) -> dict[str, Any]:
        """What the collection has, by the digest of the file."""
        name = self._wish["collection"]
        return {
            str(artifact.metadata["sha256"]): artifact
            for collection in registry.collections(filter={"name": name})
            if collection.name == name
            for artifact in collection.artifacts()
            if artifact.metadata.get("sha256")
        }

    def _source(self, version: Wish) -> Any:
        """The artifact of the run that a version came from; None where the server has none."""
        if not version["run"]:
            return None
        try:
            run = self._api.run(f"{self._entity}/{version['project']}/{version['run']}")
            logged = list(run.logged_artifacts())
        except Exception as problem:
            if any(type(one).__name__ == "RunNotFoundError" or _status(one) == 404 for one in _causes(problem)):
                return None
            raise
        return next((one for one in logged if one.metadata.get("sha256") == version["digest"]), None)

    def _tell(self, version: Wish, link: Any) -> None:
        """Say in metadata and tags what was decided of a version; what people have put there themselves stays."""
        metadata = dict(link.metadata)
        under = metadata.get(UNDER)
        before = under.get("registered", {}) if isinstance(under, dict) else {}
        after = {**before, self._wish["model"]: version["told"]}
        if after == before:
            return
        link.metadata = {**metadata, UNDER: {"registered": after}}
        had, has = tags_of(before), tags_of(after)
        link.tags = sorted((set(link.tags) - (had - has)) | has)
        self._done(f"what is said of {self._called(version)}", link.save)

    def _move_aliases(self, there: Mapping[str, tuple[Wish, Any]]) -> None:
        """Set aliases; take away those that the log has taken away or moved, and no others."""
        wanted = {alias: version["digest"] for version in self._wish["versions"] for alias in version["aliases"]}
        moved = set()
        for version, link in there.values():
            for alias in version["aliases"]:
                if alias not in link.aliases:  # the server takes it from the version that has it
                    moved.add(alias)
                    self._alias(link, alias, [*link.aliases, alias])
        # One whose version is not there yet stays where it is.
        settled = {alias for alias, digest in wanted.items() if digest in there} - moved
        gone = settled | (set(self._wish["aliases"]) - wanted.keys())
        for version, link in there.values():
            for alias in [one for one in link.aliases if one in gone and one not in version["aliases"]]:
                self._alias(link, alias, [one for one in link.aliases if one != alias])

    def _alias(self, link: Any, alias: str, aliases: list[str]) -> None:
        # One at a time: a protected alias, which takes an administrator to move, costs no other one.
        before, link.aliases = list(link.aliases), aliases
        if not self._done(f"alias {alias} of the registered model {self._wish['model']}", link.save):
            link.aliases = before

    def _done(self, what: str, act: Callable[..., Any], *arguments: Any) -> Any:
        """What it gives, or true where that is nothing; a refusal is noted, and false."""
        try:
            return act(*arguments) or True
        except Exception as problem:
            if is_temporary(problem):
                raise
            self.notes.append((what, f"W&B refuses it: {said_by(problem)}"))
            return False

    def _called(self, version: Wish) -> str:
        return f"version {version['version']} of the registered model {self._wish['model']}"


def tags_of(models: Mapping[str, Any]) -> set[str]:
    """The tags of an artifact of which these registered models tell that."""
    tags: set[str] = set()
    for told in models.values():
        if told.get("approvals"):
            tags.add("approved")
        if told.get("objections"):
            tags.add("objected")
        if told.get("retired"):
            tags.add("retired")
        stage = _NOT_IN_A_TAG.sub("-", told.get("stage") or "").strip("-")
        if stage:
            tags.add(f"stage-{stage}"[:LONGEST_TAG])
    return tags


def is_temporary(problem: BaseException) -> bool:
    """Whether the same may go well later: no answer, too many requests, a fault of the server, a refused key."""
    if type(problem).__name__ == "AuthenticationError":
        return True
    for one in _causes(problem):
        if status := _status(one):
            return status in (401, 408, 429) or status >= 500
        if type(one).__name__ == "WandbApiFailedError":
            # Without a status: errors of a query that was answered name the place in it, all else got no answer.
            return not str(one).startswith("input:")
        if isinstance(one, OSError):  # and so TimeoutError, ConnectionError
            return True
    return False


def said_by(problem: BaseException) -> str:
    """The reason in one line, without the key and a login in an address."""
    text = " ".join((str(problem) or repr(problem)).split())
    if key := os.environ.get("WANDB_API_KEY"):
        text = text.replace(key, "…")
    return _LOGIN.sub("//", text)[:300]


def _status(problem: BaseException) -> int:
    response = getattr(problem, "response", None)
    return int(getattr(response, "http_status", 0) or getattr(response, "status_code", 0) or 0)


def _causes(problem: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting: list[Any] = [problem]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [getattr(one, "exc", None), one.__cause__]


def answer_to(wish: Wish) -> dict[str, Any]:
    """Fulfil a wish; what became of it."""
    linking, problem, temporary = None, None, False
    try:
        import wandb

        linking = Linking(wish, wandb.Api(timeout=SECONDS))
        linking.fulfil()
    except Exception as failure:
        problem, temporary = said_by(failure), is_temporary(failure)
    missing, notes = (linking.missing, linking.notes) if linking else ([], [])
    return {"missing": missing, "notes": notes, "problem": problem, "temporary": temporary}


def main() -> None:
    """Fulfil the wish of the standard input."""
    wish: Wish = json.load(sys.stdin)
    # The SDK says this and that: only the answer goes where it is awaited.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with answers:
        json.dump(answer_to(wish), answers)


if __name__ == "__main__":
    main()
