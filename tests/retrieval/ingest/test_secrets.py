"""The keys are made up, and put together at run time, so that no scanner trips over this file."""

import base64
import hashlib
import json
import random
import string
import subprocess
import sys

import pytest

from dlcodegen_local.retrieval.ingest.secrets import Secret, find_secrets

ALPHANUMERIC = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
KEY = "-----BEGIN {}PRIVATE" + " KEY-----"


def drawn(alphabet, length, seed=1):
    """Return letters drawn by lot, of which one at least is a digit and one a capital."""
    letters = random.Random(seed).choices(alphabet, k=length)
    tail = "A7" if "A" in alphabet and "7" in alphabet else alphabet[-2:]
    return "".join(letters)[: length - 2] + tail


def token(prefix, length, alphabet=ALPHANUMERIC):
    return prefix + drawn(alphabet, length)


WEB_TOKEN = (
    ".".join("ey" + "J" + drawn(ALPHANUMERIC, 24, seed) for seed in (1, 2)) + "." + drawn(ALPHANUMERIC, 43)
)

FOUND = [
    ("AWS access key", f'boto3.client("s3", "{token("AK" + "IA", 16, string.ascii_uppercase + "7")}")'),
    ("GitHub token", f"login('{token('gh' + 'p_', 36)}')"),
    ("GitHub token", f"login('{token('github' + '_pat_', 82)}')"),
    ("GitLab token", f"url = '{token('gl' + 'pat-', 20)}'"),
    ("Slack token", f"client = WebClient('{token('xo' + 'xb-', 40)}')"),
    (
        "Slack webhook",
        f"post('https://hooks.slack.com/services/T{drawn(ALPHANUMERIC, 8)}/B1234567/" + drawn(HEX, 24) + "')",
    ),
    ("Hugging Face token", f"login('{token('h' + 'f_', 34)}')"),
    ("OpenAI or Anthropic key", f"OpenAI('{token('s' + 'k-proj-', 60)}')"),
    ("OpenAI or Anthropic key", f"Anthropic('{token('s' + 'k-ant-api03-', 80)}')"),
    ("Kaggle key", f"login('{token('KG' + 'AT_', 32, HEX)}')"),
    ("key or token", f'{{"username": "ann", "key": "{drawn(HEX, 32)}"}}'),
    ("key or token", f"os.environ['KAGGLE_KEY'] = '{drawn(HEX, 32)}'"),
    ("key or token", f'wandb.login(key="{drawn(HEX, 40)}")'),
    ("key or token", f'wandb.login("{drawn(HEX, 40)}")'),
    ("key or token", f"AWS_SECRET_ACCESS_KEY = '{drawn(ALPHANUMERIC, 40)}'"),
    ("key or token", f"client_secret: str = '{drawn(ALPHANUMERIC, 32)}'"),
    ("key or token", f'os.environ.get("API_TOKEN", "{drawn(ALPHANUMERIC, 32)}")'),
    ("key or token", f"# export NEPTUNE_API_TOKEN={drawn(ALPHANUMERIC, 32)}"),
    ("Google key", f"maps('{token('AI' + 'za', 35)}')"),
    ("Stripe key", f"stripe('{token('sk' + '_live_', 24)}')"),
    ("SendGrid key", f"SendGrid('SG.{drawn(ALPHANUMERIC, 22)}.{drawn(ALPHANUMERIC, 43)}')"),
    ("npm token", f"npm('{token('np' + 'm_', 36)}')"),
    ("PyPI token", f"upload('{token('pypi-' + 'AgE', 100)}')"),
    ("Databricks token", f"connect('{token('da' + 'pi', 32, HEX)}')"),
    (
        "Azure key",
        f"'DefaultEndpointsProtocol=https;Account' 'Key={drawn(ALPHANUMERIC, 86)}=='".replace("' '", ""),
    ),
    ("JSON web token", f"get(headers='{WEB_TOKEN}')"),
    ("bearer token", f"headers = {{'Authorization': 'Bearer {drawn(ALPHANUMERIC, 40)}'}}"),
    ("private key", KEY.format("RSA ")),
    ("private key", KEY.format("")),
    ("private key", KEY.format("OPENSSH ")),
    ("password", "password = 'hunter" + "22'"),
    ("password", 'connect(user="ann", db_password="Tr0ub4' + 'dor")'),
    ("password", "config['PASSWORD'] = 'Tr0ub4" + "dor&3'"),
    ("password", 'os.getenv("DB_PASSWORD", "Tr0ub4' + 'dor")'),
    ("password", "if passwd == 'Tr0ub4" + "dor':"),
    ("address with a password", "engine = create_engine('postgresql://ann:Tr0ub4" + "dor@db.local:5432/x')"),
    ("address with a password", "!git clone https://ann:s3cr3t" + "99@git.local/x.git"),
    ("connection string with a password", "'Server=db;Database=x;User Id=ann;Password=Tr0ub4" + "dor;'"),
]

ORDINARY = [
    "token = '[CLS]'",
    "tokenizer.pad_token = '<|endoftext|>'",
    "oov_token='<OOV>', start_token='<start>'",
    "password = getpass.getpass('Password: ')",
    "password = os.environ['DB_PASSWORD']",
    "wandb.login(key=user_secrets.get_secret('WANDB_KEY'))",
    "os.environ['HF_TOKEN'] = 'your_token_here'",
    "api_key = 'YOUR_API_KEY'",
    "API_TOKEN = os.environ.get('API_TOKEN', '')",
    "url = f'postgresql://{user}:{password}@{host}/db'",
    "url = 'https://user:password@example.com'",
    "sha256 = '" + hashlib.sha256(b"weights").hexdigest() + "'",
    "file_hash='" + hashlib.md5(b"weights").hexdigest() + "'",
    "get_file('x', 'https://storage.googleapis.com/a/b/c_notop.h5', cache_subdir='models')",
    "image = '" + base64.b64encode(bytes(range(256)) * 4).decode() + "'",
    "id = '1Dz7yXQxKq0TcZ9s3mV5lJ2bW8nR4aHgE'",
    "keys = {'token_type_ids': 'token_type_ids', 'secret': 'none'}",
    "checkpoint_key = 'model.layers.12.self_attn.q_proj.weight'",
    "tokenizer_path = secret_key_path = '/models/tokenizers/bert_base_uncased_2018.json'",
    "special_tokens = ['<s>', '</s>']",
    "x = 'sk-learn-style-estimators-with-a-very-long-name'",
    "monkey = 'banana22'",
]


@pytest.mark.parametrize(("kind", "line"), FOUND, ids=[f"{kind} {n}" for n, (kind, _) in enumerate(FOUND)])
def test_a_secret_is_found_and_named(kind, line):
    found = find_secrets(f"import os\n{line}\n", cell=4)
    assert Secret(kind, 2, 4) in found


@pytest.mark.parametrize("line", ORDINARY)
def test_what_notebooks_hold_every_day_is_no_secret(line):
    assert find_secrets(line) == ()


def test_lines_that_are_marked_as_allowed_are_passed_over():
    line = FOUND[0][1]
    assert find_secrets(f"{line}  # pragma: allowlist secret") == ()
    assert find_secrets(f"# pragma: allowlist nextline secret\n{line}\n") == ()
    assert [secret.line for secret in find_secrets(f"# pragma: allowlist secret\n{line}\n")] == [2]


def test_what_is_found_does_not_hold_the_secret():
    secret = find_secrets(FOUND[0][1])[0]
    assert token("AK" + "IA", 16, string.ascii_uppercase + "7") not in repr(secret)


# Kinds that detect-secrets knows, as far as it finds what its authors say that it does.
ORACLE = """
import json, sys
from detect_secrets.core.scan import scan_line
from detect_secrets.settings import transient_settings

plugins = [{"name": name} for name in sys.argv[1].split()]
with transient_settings({"plugins_used": plugins, "filters_used": []}):
    print(json.dumps([bool(list(scan_line(line))) for line in json.load(sys.stdin)]))
"""
PLUGINS = (
    "AWSKeyDetector AzureStorageKeyDetector BasicAuthDetector GitHubTokenDetector JwtTokenDetector "
    "NpmDetector OpenAIDetector PrivateKeyDetector SendGridDetector SlackDetector StripeDetector"
)


def test_whatever_detect_secrets_knows_for_certain_is_found():
    pytest.importorskip("detect_secrets")
    lines = [line for _, line in FOUND] + ORDINARY
    answer = subprocess.run(
        [sys.executable, "-c", ORACLE, PLUGINS],
        input=json.dumps(lines),
        capture_output=True,
        text=True,
        check=True,
    )
    theirs = json.loads(answer.stdout)
    assert sum(theirs) >= 8
    assert [line for line, hit in zip(lines, theirs, strict=True) if hit and not find_secrets(line)] == [
        "url = f'postgresql://{user}:{password}@{host}/db'",
        "url = 'https://user:password@example.com'",
    ]
