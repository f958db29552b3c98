"""The exceptions and warnings of the client, so that `except` clauses stay as they are. None is ever raised here.

The tree is that of neptune-scale 0.30 (`neptune_scale/exceptions.py`).
"""

from __future__ import annotations

from typing import Final


class NeptuneScaleError(Exception):
    """Base of all errors."""


class NeptuneScaleWarning(Warning):
    """Base of all warnings."""


_OTHERS: Final = """
NeptuneScaleError: NeptuneBadRequestError NeptuneSynchronizationStopped NeptuneUnableToLogData NeptuneUnauthorizedError
NeptuneScaleError: NeptuneInvalidCredentialsError NeptuneUnexpectedError NeptuneRetryableError NeptuneFileUploadError
NeptuneScaleError: NeptuneProjectError NeptuneRunError NeptuneAttributePathExceedsSizeLimit NeptuneAttributePathEmpty
NeptuneScaleError: NeptuneAttributePathInvalid NeptuneAttributePathNonWritable NeptuneAttributeTypeUnsupported
NeptuneScaleError: NeptuneAttributeTypeMismatch NeptuneSeriesStepNonIncreasing NeptuneSeriesStepTooLarge
NeptuneScaleError: NeptuneSeriesStepNotAfterForkPoint NeptuneSeriesTimestampDecreasing NeptuneDatabaseConflict
NeptuneScaleError: NeptuneStringValueExceedsSizeLimit NeptuneStringSetExceedsSizeLimit
NeptuneScaleError: NeptuneFileMetadataExceedsSizeLimit NeptunePreviewStepNotAfterLastCommittedStep
NeptuneScaleError: NeptuneLocalStorageInUnsupportedVersion NeptuneHistogramBinEdgesContainNaN
NeptuneScaleError: NeptuneHistogramTooManyBins NeptuneHistogramBinEdgesNotIncreasing
NeptuneScaleError: NeptuneHistogramValuesLengthMismatch
NeptuneUnableToLogData: NeptuneFloatValueNanInfUnsupported
NeptuneFloatValueNanInfUnsupported: GenericFloatValueNanInfUnsupported
NeptuneRetryableError: NeptuneConnectionLostError NeptuneUnexpectedResponseError NeptuneTooManyRequestsResponseError
NeptuneRetryableError: NeptuneInternalServerError NeptuneUnableToAuthenticateError NeptuneFileUploadTemporaryError
NeptuneRetryableError: NeptuneProjectNotProvided NeptuneApiTokenNotProvided
NeptuneProjectError: NeptuneProjectNotFound NeptuneProjectInvalidName NeptuneProjectAlreadyExists
NeptuneRunError: NeptuneRunNotFound NeptuneRunInvalidCreationParameters
NeptuneScaleWarning: NeptuneRunDuplicate NeptuneRunConflicting NeptuneRunForkParentNotFound NeptuneSeriesPointDuplicate
"""
"""`base: names` a line."""


def _grow() -> list[str]:
    known: dict[str, type[BaseException]] = {
        "NeptuneScaleError": NeptuneScaleError,
        "NeptuneScaleWarning": NeptuneScaleWarning,
    }
    for line in filter(None, _OTHERS.split("\n")):
        base, _, names = line.partition(": ")
        for name in names.split():
            known[name] = type(
                name, (known[base],), {"__module__": __name__, "__doc__": "As in the client of Neptune."}
            )
    globals().update(known)
    return sorted(known)


__all__ = _grow()  # pyright: ignore[reportUnsupportedDunderAll]
