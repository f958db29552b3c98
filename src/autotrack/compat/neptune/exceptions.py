"""The exceptions of the client, so that `except` clauses stay as they are. The drop-in itself raises only a few.

Those have a message; all others are there to be named. The tree is that of neptune 1.14 (`neptune/exceptions.py` and
`neptune/common/exceptions.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final


class NeptuneException(Exception):
    """Base of all others."""


class MissingFieldException(NeptuneException, AttributeError, KeyError):
    """There is no field under the path."""

    def __init__(self, field_path: str) -> None:
        self._message = f"There is no field {field_path!r} in this object; run.print_structure() shows which there are."
        super().__init__(self._message)

    def __str__(self) -> str:
        return self._message


class InactiveContainerException(NeptuneException):
    """Something was logged after `stop()`."""

    def __init__(self, label: str = "") -> None:
        super().__init__(f"{label} was stopped before: nothing can be logged to it any more.")


class MetadataContainerNotFound(NeptuneException):
    """The id names nothing that was recorded."""

    def __init__(self, container_id: str = "", container_type: object = None) -> None:
        super().__init__(
            f"{container_id!r} is not in the local record of autotrack; `autotrack import neptune` brings runs over."
        )
        self.container_id = container_id


class NeedExistingExperimentForReadOnlyMode(NeptuneException):
    """Read-only mode was asked for without saying what to read."""

    def __init__(self, *_: object) -> None:
        super().__init__("Read-only mode needs with_id, the id of something that was recorded.")


class NeptuneWrongInitParametersException(NeptuneException):
    """Arguments of a constructor that do not go together."""


class NeptuneRunResumeAndCustomIdCollision(NeptuneWrongInitParametersException):
    """Both `with_id` and `custom_run_id` were given."""

    def __init__(self) -> None:
        super().__init__("Give either with_id, to go on with a run, or custom_run_id, and not both.")


class NeptuneMissingRequiredInitParameter(NeptuneWrongInitParametersException):
    """A constructor lacks an argument."""

    def __init__(self, parameter_name: str = "", called_function: str = "") -> None:
        super().__init__(f"{called_function} needs {parameter_name} or with_id.")


class NeptuneObjectCreationConflict(NeptuneException):
    """What was to be created is there."""


class NeptuneModelKeyAlreadyExistsError(NeptuneObjectCreationConflict):
    """A model of this key was recorded before."""

    def __init__(self, model_key: str = "", models_tab_url: str = "") -> None:
        super().__init__(f"The model {model_key!r} exists already: go on with it by with_id.")


class NeptuneProtectedPathException(NeptuneException):
    """The path is not for the caller to write."""


class NeptuneCannotChangeStageManually(NeptuneProtectedPathException):
    """The stage of a model version is changed by `change_stage`."""

    def __init__(self, field_path: str = "sys/stage") -> None:
        super().__init__(f"{field_path} is changed by model_version.change_stage(…).")


class StreamAlreadyUsedException(NeptuneException):
    """A stream was to be read a second time."""


_OTHERS: Final = """
InternalClientError NeptuneInvalidApiTokenException NeptuneApiException MetadataInconsistency MalformedOperation
FileNotFound FileUploadError FileSetUploadError FileSetNotFound ClientHttpError ExceptionWithProjectsWorkspacesListing
ContainerUUIDNotFound NeptuneMissingApiTokenException CannotSynchronizeOfflineRunsWithoutProject
NeptuneParametersCollision NeptuneClientUpgradeRequiredError CannotResolveHostname NeptuneSSLVerificationError
NeptuneConnectionLostException NeptuneOfflineModeException OperationNotSupported NeptuneLegacyProjectException
NeptuneMissingRequirementException NeptuneLimitExceedException NeptuneFieldCountLimitExceedException
NeptuneStorageLimitException NeptuneLegacyIncompatibilityException NeptuneUnhandledArtifactSchemeException
NeptuneUnhandledArtifactTypeException NeptuneLocalStorageAccessException NeptuneRemoteStorageCredentialsException
NeptuneRemoteStorageAccessException ArtifactUploadingError NeptuneUnsupportedArtifactFunctionalityException
NeptuneEmptyLocationException NeptuneFeatureNotAvailableException NeptuneSynchronizationAlreadyStoppedException
NeptuneUserApiInputException NeptuneMaxDiskUtilizationExceeded NeptuneInvalidQueryException
MetadataContainerNotFound: ProjectNotFound RunNotFound ModelNotFound ModelVersionNotFound
ExceptionWithProjectsWorkspacesListing: AmbiguousProjectName NeptuneMissingProjectNameException
ExceptionWithProjectsWorkspacesListing ProjectNotFound: ProjectNotFoundWithSuggestions
InactiveContainerException: InactiveRunException InactiveModelException InactiveModelVersionException
InactiveContainerException: InactiveProjectException
NeedExistingExperimentForReadOnlyMode: NeedExistingRunForReadOnlyMode NeedExistingModelForReadOnlyMode
NeedExistingExperimentForReadOnlyMode: NeedExistingModelVersionForReadOnlyMode
NeptuneApiException: InternalServerError Unauthorized Forbidden
NeptuneOfflineModeException: NeptuneOfflineModeFetchException NeptuneOfflineModeChangeStageException
MetadataInconsistency: FetchAttributeNotFoundException ArtifactNotFoundException
NeptuneWrongInitParametersException: NeptunePossibleLegacyUsageException
NeptuneException AttributeError: TypeDoesNotSupportAttributeException
Exception: PlotlyIncompatibilityException
"""
"""`bases: names` a line; without a colon the base is `NeptuneException`."""


def _grow() -> list[str]:
    known: dict[str, type[BaseException]] = {
        name: one for name, one in globals().items() if isinstance(one, type) and issubclass(one, BaseException)
    }
    known |= {"Exception": Exception, "AttributeError": AttributeError}
    for line in _OTHERS.split("\n"):
        bases, _, names = line.rpartition(":")
        for name in names.split():
            parents = tuple(known[base] for base in bases.split()) or (NeptuneException,)
            known[name] = type(name, parents, {"__module__": __name__, "__doc__": "As in the client of Neptune."})
    known["RunUUIDNotFound"] = known["ContainerUUIDNotFound"]
    globals().update({name: one for name, one in known.items() if one.__module__ == __name__})
    return sorted(name for name, one in known.items() if one.__module__ == __name__)


if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...


__all__ = _grow()  # pyright: ignore[reportUnsupportedDunderAll]
