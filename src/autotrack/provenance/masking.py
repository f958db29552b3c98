"""Masking: what no journal, store, blob or backend may hold is replaced before it is recorded.

A text of the user's enters (a param, a command line, a URL, the value of a variable) and leaves with `***` where a
secret stood. Three things tell one: the name that it stands under (`api_key=…`), its place in a URL
(`https://user:password@…`, `?token=…`), and its own form, which issuers make recognisable (`hf_…`, `AKIA…`, a JSON web
token, a private key). The same forms tell which files are kept out of a capsule. Most texts hold none of it, so that
the first look is cheap and the patterns are compiled when one is needed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Final

from autotrack.provenance.tokens import TOKEN_FORMS, may_hold_token, token_bytes, tokens

MASK: Final = "***"

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_SECRET_WORDS = frozenset(
    {"password", "passwd", "passphrase", "passcode", "secret", "secrets", "credential", "credentials"}
)
_SECRET_ENDINGS = frozenset({
    ("api", "key"), ("apikey",), ("access", "key"), ("private", "key"), ("secret", "key"), ("account", "key"),
    ("auth", "token"), ("access", "token"), ("api", "token"), ("bearer", "token"), ("hub", "token"), ("hf", "token"),
    ("refresh", "token"), ("session", "token"), ("access", "key", "id"), ("signing", "key"), ("encryption", "key"),
    ("personal", "token"), ("github", "token"), ("gh", "token"), ("gitlab", "token"), ("id", "token"),
    ("wandb", "token"), ("write", "token"), ("read", "token"), ("deploy", "token"), ("security", "token"),
    ("connection", "string"), ("webhook", "url"), ("sas", "token"), ("auth", "key"), ("license", "key"),
})  # fmt: skip
"""Of one to three words."""
_SECRET_ALONE = frozenset({("token",), ("auth",), ("authorization",), ("bearer",), ("cookie",), ("jwt",)})
_ISSUERS = frozenset(
    {"anthropic", "aws", "azure", "clearml", "cohere", "comet", "databricks", "datadog", "gemini", "google", "groq",
     "huggingface", "kaggle", "mistral", "mlflow", "neptune", "ngc", "nvidia", "openai", "openrouter", "replicate",
     "sendgrid", "slack", "stripe", "wandb"}
)  # fmt: skip
"""Of whom a `key` or a `token` is one: `wandb_key`, `wandb.key`, `--openai-key`."""

KEY_BLOCK: Final = "-----BEGIN"
"""With `PRIVATE KEY` behind it, in PEM, OpenSSH and PGP alike."""

_URL_LOGIN = re.compile(r"(?<=://)[^/\s:@\"'<>]*:[^/\s\"'<>]*(?=@)")
_URL_TOKEN = re.compile(r"(?<=://)(?!git@)[^/\s:@\"'<>]{16,}(?=@)")
_QUERY = re.compile(r"(?<=[?&;])([A-Za-z][\w.\-]*)=([^&#\s\"']+)")
_QUERY_SECRETS = frozenset(
    {"token", "sig", "signature", "key", "code", "auth", "sas", "x-amz-signature", "x-amz-credential",
     "x-amz-security-token", "x-goog-signature", "x-goog-credential", "awsaccesskeyid"}
)  # fmt: skip
_PERHAPS_PASSWORDS = frozenset({"pwd", "pass"})
_PLACEHOLDERS = frozenset({"none", "null", "true", "false", "", "bearer", "basic", "digest", "token", MASK})


def is_secret(key: str) -> bool:
    """Whether a key names a secret by its words: `api_key`, `hubToken`, `db_password`; `num_cls_token` is none."""
    words = tuple(word.lower() for word in _WORDS.findall(key))
    if _SECRET_WORDS.intersection(words) or words in _SECRET_ALONE:
        return True
    if len(words) > 1 and words[-1] in ("key", "token") and words[-2] in _ISSUERS:
        return True
    if len(words) > 1 and words[-1] == "pwd":  # alone it is the working folder
        return True
    return words[-1:] in _SECRET_ENDINGS or words[-2:] in _SECRET_ENDINGS or words[-3:] in _SECRET_ENDINGS


def is_secret_variable(name: str) -> bool:
    """Whether an environment variable is named like a secret: beside `is_secret`, whatever ends in `TOKEN`, `KEY`."""
    last = name.upper().rpartition("_")[2]
    # Whoever knows the address of a webhook may often post to it.
    usual = {"TOKEN", "KEY", "PAT", "AUTH", "DSN", "JWT", "WEBHOOK", "WEBHOOKS"}
    return is_secret(name) or last in usual or name.upper().endswith("_KEY_ID")


def mask_urls(text: str) -> str:
    """`text` with what a URL in it may hold of secrets masked: user and password, tokens, signatures of its query."""
    if "://" not in text:
        return text
    text = _URL_TOKEN.sub(MASK, _URL_LOGIN.sub(MASK, text))
    return _QUERY.sub(_masked_query, text) if "?" in text else text


def mask_tokens(text: str) -> str:
    """`text` with everything masked that has the form of a token or is a private key."""
    if KEY_BLOCK in text:
        text = _key_blocks().sub(MASK, text)
    if any(literal in text for literal, _ in TOKEN_FORMS):
        text = tokens().sub(MASK, text)
    return text


def masked(text: str) -> str:
    """Any text of the user's with all that looks like a secret masked, by name, place or form. Linear in its length."""
    if len(text) < 4:
        return text
    text = mask_tokens(mask_urls(text))
    if "=" in text or ":" in text or " " in text:
        text = _mask_assignments(_bearers().sub(_masked_bearer, text))
    if "-" in text:
        text = _options().sub(_masked_option, text)
    return text


def masked_command(command: Sequence[str]) -> list[str]:
    """A command line with the values of options that name a secret, and whatever else looks like one, masked."""
    shown: list[str] = []
    hide = False
    for word in command:
        name, equals, value = word.partition("=")
        if hide:
            shown.append(MASK)
        elif equals and value.lower() not in _PLACEHOLDERS and _names_secret(name, value):
            shown.append(f"{name}={MASK}")
        else:
            shown.append(masked(word))
        hide = not hide and word.startswith("-") and not equals and not _spaced(word) and is_secret(word.lstrip("-"))
    return shown


def holds_secret(data: bytes) -> str | None:
    """What kind of secret the bytes of a file hold: `a private key`, `a token`; None where none is recognised."""
    if KEY_BLOCK.encode() in data and _key_bytes().search(data):
        return "a private key"
    return "a token" if may_hold_token(data) and token_bytes().search(data) else None


def rules() -> str:
    """A name of what `holds_secret` looks for: another one where it looks for something else."""
    import hashlib  # not above: this room is entered by `enable()`

    return hashlib.sha256((tokens().pattern + _key_bytes().pattern.decode()).encode()).hexdigest()[:16]


def _names_secret(option: str, value: str) -> bool:
    return not _spaced(option) and (is_secret(option.lstrip("-+~")) or _is_password(option, value))


def _spaced(word: str) -> bool:
    return any(sign.isspace() for sign in word)


def _masked_query(match: re.Match[str]) -> str:
    name = match[1]
    return f"{name}={MASK}" if name.lower() in _QUERY_SECRETS or is_secret(name) else match[0]


def _mask_assignments(text: str) -> str:
    """`text` with what is assigned to the name of a secret masked, wherever that stands: `error: f(password='…')`."""
    pieces: list[str] = []
    done = at = 0
    while (head := _heads().search(text, at)) is not None:
        at = head.end(1)  # what seems to be the value of this name may be another name
        name = head[1].lstrip("-")
        if not is_secret(name) and name.lower() not in _PERHAPS_PASSWORDS:
            continue
        value = _values().match(text, head.end())
        if value is None or _is_expression(text, value):
            continue
        bare = value[0].strip("\"'")
        if bare.lower() in _PLACEHOLDERS or not (is_secret(name) or _is_password(name, bare)):
            continue
        quote = value[0][0] if value[0][0] in "\"'" else ""
        pieces += (text[done : value.start()], quote, MASK, quote)
        done = at = value.end()
    return "".join([*pieces, text[done:]]) if pieces else text


def _is_password(name: str, value: str) -> bool:
    """Whether it is a password under a name that may be a working folder (`PWD`) or a number (`pass`) too."""
    if name.lstrip("-").lower() not in _PERHAPS_PASSWORDS or value.replace(".", "").isdigit():
        return False
    return not set("/\\").intersection(value)


def _is_expression(text: str, value: re.Match[str]) -> bool:
    """Whether code is assigned, such as `os.environ["TOKEN"]` or `getpass()`, which is no secret itself."""
    return value[0][0] not in "\"'" and text[value.end() : value.end() + 1] in ("(", "[")


def _masked_option(match: re.Match[str]) -> str:
    name, between, value = match[1], match[2], match[3]
    if value.lower() in _PLACEHOLDERS or not is_secret(name.lstrip("-")):
        return match[0]
    return f"{name}{between}{MASK}"


def _masked_bearer(match: re.Match[str]) -> str:
    return f"{match[1]}{MASK}"


@cache
def _key_blocks() -> re.Pattern[str]:
    # Up to the end mark, or, where that was cut off, as long as the text goes on as a key does.
    return re.compile(
        r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----(?:[^-]*-----END [A-Z0-9 ]*-----|[A-Za-z0-9+/=\s\\:,.\-]*)"
    )


@cache
def _key_bytes() -> re.Pattern[bytes]:
    # With something of the key behind it: sources that only compare with the header are no keys.
    return re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----\s*(?:\\[rn])*[A-Za-z0-9+/=:\-, \t\r\n]{32}")


@cache
def _heads() -> re.Pattern[str]:
    # A name and what stands between it and its value, perhaps with a type: `api_key: str = `.
    return re.compile(
        r"(?<![\w.\-])(-{0,2}[A-Za-z_][\w.\-]{1,80})([\"']?\s{0,4}(?::\s{0,4}[A-Za-z_][\w\[\], |.]{0,40}=|[:=])\s{0,4})"
    )


@cache
def _values() -> re.Pattern[str]:
    return re.compile(r"\"[^\"\n]*\"?|'[^'\n]*'?|[^\s\"',;&}\])(\[]+")


@cache
def _options() -> re.Pattern[str]:
    # `--password abc`, and the same as a list shows it: '--password', 'abc'.
    return re.compile(
        r"(?<![\w.\-])(--?[A-Za-z][\w.\-]{1,80})([\"']\s{0,4},\s{0,4}[\"']|[ \t]{1,4}[\"']?)"
        r"([^\s\"',;\-\])}][^\s\"',;\])}]*)"
    )


@cache
def _bearers() -> re.Pattern[str]:
    return re.compile(
        r"([Aa]uthorization[\"']?\s{0,4}[:=]\s{0,4}[\"']?(?:[A-Za-z]{1,20}\s{1,4})?"
        r"|\b(?:[Bb]earer|[Bb]asic|[Tt]oken)\s{1,4}(?=[^\s\"']*\d)(?=[^\s\"']{16}))[^\s\"',]+"
    )
