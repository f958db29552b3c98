"""What is a secret is masked, by its name, its place or its form; what only looks a little like one is not."""

import time

import pytest

from autotrack.provenance.masking import holds_secret, is_secret, is_secret_variable, masked, masked_command
from autotrack.provenance.params import flatten

FORTY = "Ab1" * 14
TOKENS = [
    f"hf_{FORTY}", f"ghp_{FORTY}", f"github_pat_{FORTY}", f"glpat-{FORTY}", "AKIA" + "ABCDEFGH12345678", f"sk-{FORTY}",
    f"sk-proj-{FORTY}", f"sk-ant-api03-{FORTY}", f"xoxb-{FORTY}", "AIza" + FORTY[:35], "dapi" + "0123456789abcdef" * 2,
    f"npm_{FORTY[:36]}", f"wandb_v1_{FORTY}", f"nvapi-{FORTY}", f"hvs.{FORTY}", f"gsk_{FORTY}", f"ya29.{FORTY}",
    f"eyJ{FORTY}.eyJ{FORTY}.{FORTY}", f"eyJhcGlf{FORTY}==", f"sk_live_{FORTY}", f"glsa_{FORTY}", f"dckr_pat_{FORTY}",
]  # fmt: skip


@pytest.mark.parametrize("token", TOKENS)
def test_a_token_is_masked_wherever_it_stands(token: str) -> None:
    assert masked(token) == "***"
    for text in (f"use {token} now", f'x("{token}")', f"--x={token}", f"a,{token},b", f"TOKEN={token}"):
        assert FORTY[:10] not in masked(text) and token not in masked(text), text
    assert holds_secret(f"x = '{token}'\n".encode()) == "a token"
    assert flatten({"x": token, "y": [token]}) == {"x": "***", "y": "['***']"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://user:pa@ss@host/x", "https://***@host/x"),
        ("git+https://0123456789abcdef0123@host/x.git", "git+https://***@host/x.git"),
        ("postgresql+psycopg://u:p@h:5432/db", "postgresql+psycopg://***@h:5432/db"),
        ("https://h/x?a=1&sig=abc%2F&b=2", "https://h/x?a=1&sig=***&b=2"),
        ("https://h/x?X-Amz-Signature=abc&X-Amz-Date=1", "https://h/x?X-Amz-Signature=***&X-Amz-Date=1"),
        ("password=abc", "password=***"),
        ("db.password: abc", "db.password: ***"),
        ("++model.api_key=abc", "++model.api_key=***"),
        ("{'api_key': 'a b c', 'lr': 0.1}", "{'api_key': '***', 'lr': 0.1}"),
        ('{"secret":"abc","n":1}', '{"secret":"***","n":1}'),
        ("api_key: str = 'abc'", "api_key: str = '***'"),
        ("run --password=abc --lr=0.1", "run --password=*** --lr=0.1"),
        ("run --api-key abc -x", "run --api-key *** -x"),
        ("['train.py', '--password', 'abc', '--lr', '1']", "['train.py', '--password', '***', '--lr', '1']"),
        (
            "docker run --env=API_KEY=abc --opts=lr:1,token:abc x",
            "docker run --env=API_KEY=*** --opts=lr:1,token:*** x",
        ),
        ("Server=h;Uid=me;Pwd=abc;", "Server=h;Uid=me;Pwd=***;"),
        ("++wandb.key=abc --openai-key abc", "++wandb.key=*** --openai-key ***"),
        ("cannot be read: password=abc", "cannot be read: password=***"),
        ("ValueError: login(password='abc', n=1)", "ValueError: login(password='***', n=1)"),
        ("ERROR: api_key = 'abc'", "ERROR: api_key = '***'"),
        ("Cookie: session=abc", "Cookie: session=***"),
        ("--pass=abc --jwt=abc", "--pass=*** --jwt=***"),
        ("Authorization: Bearer abc", "Authorization: Bearer ***"),
        ("use bearer abcdefghijklmnop1", "use bearer ***"),
        ("a\n-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\nb", "a\n***\nb"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n", "***"),
    ],
)
def test_secrets_by_name_and_place_are_masked(text: str, expected: str) -> None:
    assert masked(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "0", "train.py", "num_cls_token=5", "pad_token_id: 3", "max_tokens = 100", "git@host:me/x.git",
        "ssh://git@host/x.git", "https://host:8080/x?page=2", "s3://bucket/key", "sk-learn", "sk-estimator-doc-link",
        "password=None", "token: null", "key = os.environ['TOKEN']", "api_key=os.environ['API_KEY']", "secrets",
        "3f786850e387550fdab836ed7e6dc881de23001b", "gho_short", "hf_hub_download", "eyJhbGciOi", "a token of thanks",
        "/home/me/.ssh/id_rsa", "PWD=/home/me", "lr=0.1", "optimizer=Adam(lr=1e-3)",
        "pass=3", "sort_key=day", "a=b=c", "x:y:z",
        "ERROR: api_key = os.environ['X']", "x: int = 3",
        "see --password", "--tokenizer bert-base --pad-token-id 3", "a --key - b",
    ],
)  # fmt: skip
def test_what_is_no_secret_stays(text: str) -> None:
    assert masked(text) == text


def test_a_command_line_hides_what_options_name() -> None:
    command = ["python", "train.py", "--token", "abc", "--lr", "1", "--api-key=abc", "-p", "x", "--hub_token", "-x"]
    assert masked_command(command) == [
        "python", "train.py", "--token", "***", "--lr", "1", "--api-key=***", "-p", "x", "--hub_token", "***",
    ]  # fmt: skip
    command = ["t.py", "--pwd=abc", "--pwd=/home/me", "--wandb-key", "abc", "--env=API_KEY=abc", "--pass=2"]
    assert masked_command(command) == [
        "t.py", "--pwd=***", "--pwd=/home/me", "--wandb-key", "***", "--env=API_KEY=***", "--pass=2",
    ]  # fmt: skip
    assert masked_command(["python", "-c", "login(token='abc'); x = 1"]) == [
        "python",
        "-c",
        "login(token='***'); x = 1",
    ]


def test_names_of_variables() -> None:
    for name in ("HF_TOKEN", "WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "SENTRY_DSN", "SLURM_JWT"):
        assert is_secret_variable(name), name
    for name in ("PATH", "PWD", "TOKENIZERS_PARALLELISM", "KERAS_BACKEND", "PYTHONHASHSEED"):
        assert not is_secret_variable(name), name
    assert is_secret("db_pwd") and not is_secret("pwd")


def test_long_texts_are_masked_in_linear_time() -> None:
    def seconds(text: str) -> float:
        begun = time.perf_counter()
        masked(text)
        return time.perf_counter() - begun

    for piece in (
        "a=",
        "eyJ",
        "://a:b",
        "-----BEGIN ",
        "sk-a-",
        "password ",
        "x" * 50 + "=",
        '"',
        "token: ",
        "bearer ",
        "a=b:",
        "password=f(",
        "password: ",
        "password='",
        'note: password="a ',
        "a:b=c,",
    ):
        short, long = seconds(piece * 2_000), seconds(piece * 20_000)
        assert long < 40 * short + 0.05, piece
