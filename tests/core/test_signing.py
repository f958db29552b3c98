"""Signatures of registered versions, with real keys and certificates and the real library."""

import pytest

pytest.importorskip("sklearn")

import datetime
import json
import sys
from pathlib import Path
from typing import Any

from autotrack.cli.main import main
from autotrack.errors import UsageError
from autotrack.provenance.blobs import Blobs
from autotrack.registry import gates, promoting, reading, signing, writing

sys.path.insert(0, str(Path(__file__).parent))
import promotions

pytestmark = pytest.mark.skipif(
    not signing.is_available(), reason="needs model-signing and what it imports: pip install 'autotrack-ml[signing]'"
)


@pytest.fixture
def home(tmp_path: Path) -> Any:
    with promotions.home(tmp_path / "home") as made:
        promotions.train(2)
        yield made


def pem(place: Path, data: bytes) -> Path:
    place.write_bytes(data)
    return place


def key(folder: Path, name: str = "release", password: bytes | None = None) -> tuple[Path, Path]:
    """The private and the public half of a new key."""
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric import ec

    made = ec.generate_private_key(ec.SECP256R1())
    locked = s.BestAvailableEncryption(password) if password else s.NoEncryption()
    private = made.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, locked)
    public = made.public_key().public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo)
    return pem(folder / f"{name}.key", private), pem(folder / f"{name}.pub", public)


def certificates(folder: Path, name: str) -> tuple[Path, Path, Path]:
    """A root, and a key with a certificate for signing code that the root vouches for."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    now = datetime.datetime.now(datetime.UTC)
    top, below = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    def made(subject: str, issuer: str, public: Any, by: Any, ca: bool) -> Any:
        names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)]) for one in (subject, issuer)]
        builder = x509.CertificateBuilder(issuer_name=names[1], subject_name=names[0], public_key=public)
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(30))
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        usage = dict.fromkeys(
            [
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
                "encipher_only",
                "decipher_only",
            ],
            False,
        )
        signs = x509.KeyUsage(digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, **usage)
        builder = builder.add_extension(signs, critical=True)
        if not ca:
            builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
        return builder.sign(by, hashes.SHA256())

    root = made(f"{name} root", f"{name} root", top.public_key(), top, True)
    leaf = made(f"{name} signer", f"{name} root", below.public_key(), top, False)
    private = below.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption())
    places = folder / f"{name}-root.pem", folder / f"{name}.pem", folder / f"{name}-leaf.key"
    return (
        pem(places[0], root.public_bytes(s.Encoding.PEM)),
        pem(places[1], leaf.public_bytes(s.Encoding.PEM)),
        pem(places[2], private),
    )


def version() -> dict[str, Any]:
    with writing.opened() as store:
        return reading.resolve(store, "clf/1")


def test_a_version_is_signed_by_a_key_and_verified_by_its_public_half(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    private, public = key(tmp_path)
    _, other = key(tmp_path, "other")
    assert main(["models", "verify-signature", "clf/1", "--key", str(public)]) == 1
    assert "nobody has signed it" in capsys.readouterr().out
    assert main(["models", "sign", "clf/1", "--key", str(private), "--why", "release", "--json"]) == 0
    step = json.loads(capsys.readouterr().out)
    assert step["record"]["method"] == "key" and step["action"] == "sign" and step["who"] == "ann"
    assert main(["models", "verify-signature", "clf/1", "--key", str(public), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["valid"] and told["evidence"]["accepted"]["key"] == step["record"]["key"]
    assert main(["models", "verify-signature", "clf/1", "--key", str(other)]) == 1
    assert "not accepted" in capsys.readouterr().out
    assert main(["models", "verify-signature", "clf/1", "--key", str(other), "--key", str(public)]) == 0
    assert version()["signed"]["who"] == "ann"


def test_a_private_key_enters_no_record(home: Path, tmp_path: Path) -> None:
    private, _ = key(tmp_path, password=b"much secret")
    assert main(["models", "sign", "clf/1", "--key", str(private), "--password", "much secret"]) == 0
    secret = private.read_text().splitlines()[1].encode()
    for file in home.rglob("*"):
        if file.is_file():
            assert secret not in file.read_bytes() and b"much secret" not in file.read_bytes(), file


def test_a_wrong_password_and_what_is_no_key_are_told(home: Path, tmp_path: Path) -> None:
    private, public = key(tmp_path, password=b"right")
    for arguments in (["--key", str(private), "--password", "wrong"], ["--key", str(public)], []):
        assert main(["models", "sign", "clf/1", *arguments]) == 2
    assert version()["signed"] is None


def test_the_library_itself_verifies_the_signature_that_is_kept(home: Path, tmp_path: Path) -> None:
    import model_signing

    private, public = key(tmp_path)
    assert main(["models", "sign", "clf/1", "--key", str(private)]) == 0
    told, blobs = version(), Blobs(home)
    with blobs.open(signing.signature_of(told) or "") as kept, blobs.open(told["digest"]) as model:
        signature = pem(tmp_path / "model.sig", kept.read())
        file = pem(tmp_path / "model.skops", model.read())
    verifier = model_signing.verifying.Config().use_elliptic_key_verifier(public_key=public)
    verifier.verify(file, signature)
    assert json.loads(signature.read_text())["mediaType"].startswith("application/vnd.dev.sigstore.bundle")
    file.write_bytes(file.read_bytes() + b"!")
    with pytest.raises(ValueError, match="mismatch"):
        verifier.verify(file, signature)


def test_a_certificate_signs_and_its_root_vouches_for_it(home: Path, tmp_path: Path) -> None:
    root, leaf, private = certificates(tmp_path, "ours")
    strange, _, _ = certificates(tmp_path, "theirs")
    assert (
        main(["models", "sign", "clf/1", "--key", str(private), "--certificate", str(leaf), "--chain", str(root)]) == 0
    )
    assert main(["models", "verify-signature", "clf/1", "--certificate", str(root)]) == 0
    assert main(["models", "verify-signature", "clf/1", "--certificate", str(strange)]) == 1


@pytest.mark.parametrize("tampered", ["model", "signature", "other signature", "gone"])
def test_what_was_tampered_with_is_refused(home: Path, tmp_path: Path, tampered: str) -> None:
    private, public = key(tmp_path)
    assert main(["models", "sign", "clf/1", "--key", str(private)]) == 0
    told, blobs = version(), Blobs(home)
    digest = signing.signature_of(told) or ""
    if tampered == "other signature":  # a valid one, of another file
        promotions.train(5)
        assert main(["models", "sign", "clf/2", "--key", str(private)]) == 0
        with writing.opened() as store:
            record = dict(reading.resolve(store, "clf/2")["signed"]["record"])
        writing.step("clf", "sign", told["digest"], record=record)
    else:
        path = blobs.path(told["digest"] if tampered == "model" else digest)
        path.chmod(0o600)
        data = path.read_bytes()
        path.write_bytes(data[:-10] + bytes([data[-10] ^ 1]) + data[-9:]) if tampered != "gone" else path.unlink()
    assert main(["models", "verify-signature", "clf/1", "--key", str(public)]) == 1


def test_the_gate_passes_a_signature_by_an_accepted_key_alone(home: Path, tmp_path: Path) -> None:
    private, public = key(tmp_path)
    _, other = key(tmp_path, "other")

    def asked(*named: str) -> dict[str, Any]:
        (result,) = promoting.check("clf/1", "production", named=dict(map(gates.parse, named))).results
        return result

    assert "whose signature is accepted" in asked("signed")["why"]
    assert "nobody has signed it" in asked(f"signed:keys=@{public}")["why"]
    assert main(["models", "sign", "clf/1", "--key", str(private)]) == 0
    assert asked(f"signed:keys=@{public}")["verdict"] == "pass"
    assert asked(f"signed:keys={public}")["verdict"] == "pass"
    assert asked(f"signed:keys=@{other}")["verdict"] == "refuse"
    assert asked("signed:keys=gone.pub")["verdict"] == "refuse"


def test_nobodys_signature_is_accepted_unasked(home: Path) -> None:
    assert main(["models", "verify-signature", "clf/1"]) == 2
    assert main(["models", "verify-signature", "clf/1", "--identity", "me@example.org"]) == 1
    with pytest.raises(UsageError):
        signing.verify(None, signing.Accepted())  # type: ignore[arg-type]
