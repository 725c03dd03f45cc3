"""Secrets in code: keys, tokens, passwords and addresses that carry them.

Own patterns rather than detect-secrets: importing any of its plugins opens a socket (they import requests,
whose import binds one), it takes quoted hashes for secrets, and it has no rule for the keys of Hugging Face,
Google and Kaggle. The tests hold both against each other. What is found is named, never shown. Secrets that
are put together at run time are not found.
"""

import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_MAX_FOUND = 100
_ALLOWED = re.compile(r"pragma: ?(?:allow|white)list[ -](nextline[ -])?secret")

# Formats of their own: whatever looks like this is one.
_TOKENS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("AWS access key", r"\b(?:AKIA|ASIA|ABIA|ACCA)(?![0-9A-Z]{0,16}EXAMPLE\b)[0-9A-Z]{16}\b"),
        ("GitHub token", r"\bgh[pousr]_[A-Za-z0-9]{36,255}\b|\bgithub_pat_[A-Za-z0-9_]{22,255}\b"),
        ("GitLab token", r"\bgl(?:pat|dt|rt|cbt|ptt|ft|soat)-[\w-]{20,}"),
        ("Slack token", r"\bxox[abeprs]-(?=[\w-]{0,200}\d)[\w-]{10,}|\bxapp-\d-[\w-]{10,}"),
        ("Slack webhook", r"hooks\.slack\.com/(?:services|workflows)/T\w{6,}/\w{6,}/\w{16,}"),
        ("Hugging Face token", r"\b(?:hf|api_org)_[A-Za-z0-9]{34,40}\b"),
        ("OpenAI or Anthropic key", r"\bsk-(?=[\w-]{0,200}\d)(?=[\w-]{0,200}[A-Z])[\w-]{32,200}"),
        ("Kaggle key", r"\bKGAT_[0-9a-f]{32}\b"),
        ("Google key", r"\bAIza[\w-]{35}(?![\w-])|\bGOCSPX-[\w-]{28}\b|\bya29\.[\w-]{30,}"),
        ("Stripe key", r"\b[sr]k_live_[0-9A-Za-z]{20,}"),
        ("Twilio key", r"\b(?:AC|SK)[0-9a-f]{32}\b"),
        ("SendGrid key", r"\bSG\.[\w-]{20,24}\.[\w-]{39,50}"),
        ("npm token", r"\bnpm_[A-Za-z0-9]{36}\b"),
        ("PyPI token", r"\bpypi-AgE[\w-]{50,}"),
        ("Telegram token", r"\b\d{8,10}:AA[\w-]{33}(?![\w-])"),
        ("Discord token", r"\b[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,38}(?![\w-])"),
        ("Mailchimp key", r"\b[0-9a-f]{32}-us\d{1,2}\b"),
        ("Databricks token", r"\bdapi[0-9a-f]{32}\b"),
        ("Replicate token", r"\br8_[A-Za-z0-9]{37}\b"),
        ("DigitalOcean token", r"\bdo[opr]_v1_[0-9a-f]{64}\b"),
        ("Square token", r"\bsq0(?:csp|atp)-[\w-]{22,43}|\bEAAA[\w-]{60}\b"),
        (
            "Azure key",
            r"(?:AccountKey|SharedAccessKey)=[A-Za-z0-9+/]{40,88}={0,2}|[?&]sig=[A-Za-z0-9%+/]{43,}",
        ),
        ("JSON web token", r"\beyJ[\w-]{10,400}\.eyJ[\w-]{10,2000}\.[\w-]{10,}"),
        ("private key", r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"),
        (
            "bearer token",
            r"(?i:\b(?:bearer|basic) +)(?=\S{0,200}\d)(?=\S{0,200}[A-Za-z])[\w.~+/-]{24,}=*",
        ),
    )
)
_URL = re.compile(r"(?<=[a-zA-Z0-9])://[^\s:/@'\"?#]{1,100}:(?P<value>[^\s/@'\"]{1,200})@[\w.${<-]")
_CONNECTION = re.compile(
    r"(?i)\b(?:server|data source|host|uid|user id) ?=[^'\"\n]{1,200}; ?(?:password|pwd) ?= ?"
    r"(?P<value>[^;'\"\n]{3,100})"
)

# Names of what is kept secret, each at the end of a name, and the value that they get.
_PASSWORD_NAME = r"(?:password|passwd|passphrase|\bpwd|_pwd|_pass)\d?"
_KEY_NAME = (
    r"(?:secret|token|api_?key|access_?key(?:_id)?|secret_?key|auth_?key|account_?key|private_?key|"
    r"encryption_?key|credentials?|kaggle_key|webhook)\d?"
)
_TO = (
    r"[\"']?\s{0,20}\]?\s{0,20}(?::\s{0,20}(?:str|Final|Optional\[str\])\s{0,20})?"
    r"(?:={1,2}|:=?|!=)\s{0,20}[rbuf]?"
)
_DEFAULT = r"(?:get|getenv|setdefault|setenv|putenv|pop|set)\(\s*[\"']\w*"
_TEXT = r"([\"'])(?P<value>[^\"'\n]{4,400})\1"
_PASSWORD = re.compile(rf"(?i){_PASSWORD_NAME}{_TO}{_TEXT}")
_PASSWORD_DEFAULT = re.compile(rf"(?i){_DEFAULT}{_PASSWORD_NAME}[\"']\s*,\s*{_TEXT}")
_KEY = re.compile(rf"(?i){_KEY_NAME}{_TO}{_TEXT}")
_KEY_DEFAULT = re.compile(rf"(?i){_DEFAULT}{_KEY_NAME}[\"']\s*,\s*{_TEXT}")
_KEY_CALL = re.compile(
    rf"(?i)\b(?:login|set_api_key|api_key|set_token|authenticate)\(\s*(?:key\s*=\s*)?{_TEXT}"
)
_KEY_BARE = re.compile(
    rf"(?i){_KEY_NAME}\s{{0,20}}[=:]\s{{0,20}}(?P<value>[\w+/.~-]{{20,200}}=*)(?=\s|$|[,;&])"
)
_HEX_KEY = re.compile(r"\bkey[\"']?\s{0,20}[=:]\s{0,20}[\"'](?P<value>[0-9a-f]{32}|[0-9a-f]{40})[\"']")

_PLACEHOLDER = re.compile(
    r"(?i)your|xxx|\*\*\*|\.\.\.|example|change[-_]?me|placeholder|dummy|fake|insert|replace|redacted|hidden|"
    r"enter|todo|[<>{}$%]|^(?:\w*[-_ ])?(?:password|passwd|secret|token|key|pass|pwd|credentials?|none|"
    r"null|test|string|str|text|input|hash|prompt|confirm|required|optional|true|false|username|user|field)"
    r"(?:[-_ ]?\d+)?$"
)
_ENVIRONMENT_NAME = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+$")


@dataclass(frozen=True)
class Secret:
    """Say what kind of secret stands where: `line` from 1, within its cell where there is one."""

    kind: str
    line: int
    cell: int | None


def find_secrets(text: str, cell: int | None = None) -> tuple[Secret, ...]:
    """Return the secrets in a text, at most one a line and kind, in the order of their lines.

    Lines that say `pragma: allowlist secret` are passed over, as is the line after one that says
    `pragma: allowlist nextline secret`.
    """
    found = sorted({(text.count("\n", 0, place) + 1, kind) for place, kind in _places(text)})
    if not found:
        return ()
    allowed = _allowed_lines(text)
    return tuple(Secret(kind, line, cell) for line, kind in found if line not in allowed)


def _allowed_lines(text: str) -> set[int]:
    allowed = set()
    for number, line in enumerate(text.split("\n"), start=1):
        if pragma := _ALLOWED.search(line):
            allowed.add(number + 1 if pragma[1] else number)
    return allowed


def _places(text: str) -> Iterator[tuple[int, str]]:
    """Yield where a secret stands in a text, and its kind."""
    for kind, pattern in _TOKENS:
        for match in itertools.islice(pattern.finditer(text), _MAX_FOUND):
            yield match.end(), kind
    for kind, pattern, is_secret in _VALUES:
        values = (match for match in pattern.finditer(text) if is_secret(match["value"]))
        for match in itertools.islice(values, _MAX_FOUND):
            yield match.start("value"), kind


def _is_chosen(value: str) -> bool:
    """Say whether a value is more than a placeholder for one."""
    is_name = _PLACEHOLDER.search(value) or _ENVIRONMENT_NAME.match(value)
    return not is_name and len(set(value)) > 2


def _is_password(value: str) -> bool:
    """Say whether a value may be a password: one word that stands for nothing else."""
    return " " not in value and not value.endswith(":") and _is_chosen(value)


def _is_random(value: str) -> bool:
    """Say whether a value looks drawn by lot: long, of letters and digits, no path, name or number."""
    if len(value) < 16 or not _is_chosen(value) or not re.fullmatch(r"[\w+/.~:=-]+", value):
        return False
    digits = sum(char.isdigit() for char in value)
    letters = sum(char.isalpha() for char in value)
    is_path = "://" in value or value.count("/") > 2 or re.search(r"\.[a-z]{2,5}$", value)
    return not is_path and digits >= 2 and letters >= 2 and _entropy(value) >= 3.0


def _entropy(value: str) -> float:
    """Return the bits a character of a text."""
    counts = Counter(value).values()
    return -sum(count / len(value) * math.log2(count / len(value)) for count in counts)


_VALUES: tuple[tuple[str, re.Pattern[str], Callable[[str], bool]], ...] = (
    ("address with a password", _URL, _is_chosen),
    ("connection string with a password", _CONNECTION, _is_chosen),
    ("password", _PASSWORD, _is_password),
    ("password", _PASSWORD_DEFAULT, _is_password),
    ("key or token", _KEY, _is_random),
    ("key or token", _KEY_DEFAULT, _is_random),
    ("key or token", _KEY_CALL, _is_random),
    ("key or token", _KEY_BARE, _is_random),
    ("key or token", _HEX_KEY, _is_random),
)
