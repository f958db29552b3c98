"""Signing a version and checking its signature, with OpenSSF Model Signing (the extra `signing`).

A version's file and a key, a certificate or an identity enter; a signature leaves: a Sigstore bundle in JSON, around a
DSSE envelope with an in-toto statement that names the SHA-256 of the file. It is kept as a blob, and a step `sign` of
the registry names it: `{signature: {digest, bytes}, method, key}`. A private key is read from its file for
the moment of signing and is in no record. Keys and certificates need no network; Sigstore does.

Formats: https://github.com/sigstore/model-transparency, https://docs.sigstore.dev/about/bundle,
https://github.com/secure-systems-lab/dsse. The fingerprint of a key is what the bundle has as its hint: the SHA-256 of
its public half as PEM.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from autotrack.errors import AutotrackError, PluginError, UsageError
from autotrack.provenance.blobs import Blobs

if TYPE_CHECKING:
    from autotrack.registry.promotion import Side

Record = dict[str, Any]

_MOST_BYTES: Final = 8 << 20
"""Of a signature: bundles of Sigstore have some ten thousand bytes."""


@dataclass(frozen=True)
class Signer:
    """What to sign with: a key, a certificate with its key, or (neither) Sigstore with the user's identity."""

    key: Path | None = None
    """A private key of a P-256, P-384 or P-521 curve as PEM."""
    password: str | None = field(default=None, repr=False)
    certificate: Path | None = None
    chain: tuple[Path, ...] = ()
    """Certificates between that one and a root."""
    identity_token: str | None = field(default=None, repr=False)
    """For Sigstore, where no browser can be opened; else that of the machine, as GitHub Actions gives one, is used."""


@dataclass(frozen=True)
class Accepted:
    """Whose signatures count. Keys and certificates are PEM, as text or the path of a file."""

    keys: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()
    """Roots, and whatever else vouches for a signing certificate."""
    identity: str | None = None
    issuer: str | None = None

    def __bool__(self) -> bool:
        return bool(self.keys or self.certificates or self.identity)


@dataclass(frozen=True)
class Verified:
    """Whether a signature holds, in words and as evidence."""

    valid: bool
    why: str
    evidence: Record = field(default_factory=dict)


def sign(side: Side, signer: Signer) -> Record:
    """Sign the version's file, keep the signature, and give the record of the step `sign`.

    Raises `PluginError` without the extra, `UsageError` for a key that cannot be used, `AutotrackError` where signing
    did not work, `OSError`.
    """
    model_signing = _library()
    if signer.certificate is not None and signer.key is None:
        raise UsageError("a certificate signs with its private key: give --key as well")
    if signer.certificate is not None and signer.password:
        raise UsageError("a certificate's key cannot have a password here; give one without, or sign by the key alone")
    config = model_signing.signing.Config()
    if signer.key is None:
        method, who = "sigstore", {}
        config.use_sigstore_signer(
            identity_token=signer.identity_token, use_ambient_credentials=signer.identity_token is None
        )
    else:
        who = {"key": _fingerprint(signer.key, signer.password)}
        if signer.certificate is None:
            method = "key"
            config.use_elliptic_key_signer(private_key=signer.key, password=_as_password(signer.password))
        else:
            method = "certificate"
            with _as_usage("the certificate"):
                config.use_certificate_signer(
                    private_key=signer.key, signing_certificate=signer.certificate, certificate_chain=list(signer.chain)
                )
            who["certificate"] = hashlib.sha256(signer.certificate.read_bytes()).hexdigest()
    with TemporaryDirectory(prefix="autotrack-sign-") as folder, side.file() as path:
        written = Path(folder) / "signature.json"
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # what it prints would stand in the output of `--json`
                config.sign(path, written)
        except Exception as problem:
            raise AutotrackError(f"signing did not work ({type(problem).__name__}: {problem})") from problem
        kept = Blobs(side.home).put_bytes(written.read_bytes())
    return {"signature": {"digest": kept.digest, "bytes": kept.bytes}, "method": method, **who}


def verify(side: Side, accepted: Accepted) -> Verified:
    """Whether the version's last signature is one of the accepted and is of the very file that is kept.

    Raises `PluginError` without the extra, `UsageError` where nobody's signature is accepted.
    """
    if not accepted:
        raise UsageError("say whose signature is accepted: --key PUBLIC.pem, --certificate ROOT.pem or --identity")
    step = side.version.get("signed")
    record = dict(step.get("record") or {}) if step else {}
    digest = signature_of(side.version)
    if digest is None:
        return Verified(False, "nobody has signed it: autotrack models sign")
    told = {**record, "digest": side.digest, **{f"signed_{key}": (step or {}).get(key) for key in ("who", "time")}}
    try:
        if side.blobs.size(digest) > _MOST_BYTES or not side.blobs.verify(digest):
            return Verified(False, "the signature's file is not what was kept", told)
        with side.blobs.open(digest) as opened:
            signature = opened.read()
    except OSError as problem:
        return Verified(False, f"the signature's file is gone ({problem})", told)
    with side.file() as path:
        return verify_file(path, signature, accepted, told)


def signature_of(version: Mapping[str, Any]) -> str | None:
    """The digest of the version's last signature; None where nobody has signed it."""
    told = ((version.get("signed") or {}).get("record") or {}).get("signature")
    digest = told.get("digest") if isinstance(told, Mapping) else None
    return digest if isinstance(digest, str) else None


def verify_file(path: Path, signature: bytes, accepted: Accepted, told: Record | None = None) -> Verified:
    """Whether the signature is one of the accepted and of the file at `path`. Raises `PluginError`."""
    model_signing = _library()
    told = dict(told or {})
    problems: list[str] = []
    with TemporaryDirectory(prefix="autotrack-verify-") as folder:
        written = Path(folder) / "signature.json"
        written.write_bytes(signature)
        for name, prepare, found in _verifiers(accepted, Path(folder)):
            config = model_signing.verifying.Config()
            try:
                with contextlib.redirect_stdout(io.StringIO()):  # what it prints would stand in the output of `--json`
                    prepare(config).verify(path, written)
            except Exception as problem:  # the library raises whatever it and its parsers meet
                problems.append(f"{name}: {str(problem).strip() or type(problem).__name__}")
                continue
            return Verified(True, f"signed, as {name} confirms", {**told, "accepted": found})
    return Verified(False, f"the signature is not accepted ({'; '.join(problems)})", {**told, "problems": problems})


def is_available() -> bool:
    """Whether the extra is installed."""
    try:
        _library()
    except PluginError:
        return False
    return True


def _verifiers(accepted: Accepted, folder: Path) -> Iterator[tuple[str, Callable[[Any], Any], Record]]:
    for at, key in enumerate(accepted.keys):
        path = _as_file(key, folder / f"key-{at}.pem")
        found = hashlib.sha256(_public_pem(path)).hexdigest()
        yield f"the key {found[:12]}", partial(_by_key, path), {"key": found}
    if accepted.certificates:
        paths = [_as_file(one, folder / f"root-{at}.pem") for at, one in enumerate(accepted.certificates)]
        roots = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
        yield "a certificate", partial(_by_certificates, paths), {"certificates": roots}
    if accepted.identity:
        if not accepted.issuer:
            raise UsageError("an identity of Sigstore needs its issuer: --issuer https://…")
        told = {"identity": accepted.identity, "oidc_issuer": accepted.issuer}
        yield f"the identity {accepted.identity}", partial(_by_identity, told), told


def _by_key(path: Path, config: Any) -> Any:
    return config.use_elliptic_key_verifier(public_key=path)


def _by_certificates(paths: list[Path], config: Any) -> Any:
    return config.use_certificate_verifier(certificate_chain=paths)


def _by_identity(told: Record, config: Any) -> Any:
    return config.use_sigstore_verifier(**told)


def _as_file(pem: str, place: Path) -> Path:
    """A PEM that is given as text, or as the path of a file."""
    if "-----BEGIN" in pem:
        place.write_text(pem)
        return place
    if not Path(pem).is_file():
        raise UsageError(f"{pem} is not a file; give the path of a PEM, or its text")
    return Path(pem)


def _fingerprint(key: Path, password: str | None) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    with _as_usage(f"the private key {key}"):
        loaded = load_pem_private_key(key.read_bytes(), password.encode() if password else None)
        public = loaded.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(public).hexdigest()


def _public_pem(path: Path) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

    with _as_usage(f"the public key {path}"):
        return load_pem_public_key(path.read_bytes()).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _as_password(password: str | None) -> Any:
    return password.encode() if password else None  # the library hands it to one that wants bytes


@contextlib.contextmanager
def _as_usage(what: str) -> Iterator[None]:
    try:
        yield
    except (OSError, TypeError, ValueError) as problem:
        raise UsageError(f"{what} cannot be used ({problem}): give a PEM") from problem


def _library() -> Any:
    try:
        import model_signing
    except ImportError as problem:
        raise PluginError(
            f"signatures need something that is not installed ({problem}); pip install 'autotrack-ml[signing]'"
        ) from problem
    return model_signing


__all__ = ["Accepted", "Signer", "Verified", "is_available", "sign", "signature_of", "verify", "verify_file"]
