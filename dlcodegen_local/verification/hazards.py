"""Find what generated code may not do: reach the network, a shell, pickled data, fixed paths.

A reading aid and a repair aid, not a wall: code that wants to hide passes it. The sandbox is the
wall.
"""

import ast
import re
import unicodedata
from collections.abc import Iterator, Mapping

from dlcodegen_local.verification.scopes import dotted_name

Found = tuple[int, str, str]  # line, rule, message

# fmt: off
_NETWORK_MODULES = frozenset({
    "aiohttp", "boto3", "botocore", "comet_ml", "datasets", "ftplib", "gdown", "google.cloud", "grpc", "http",
    "httpx", "huggingface_hub", "imaplib", "kaggle", "kagglehub", "neptune", "nntplib", "paramiko", "poplib",
    "pycurl", "requests", "smtplib", "socket", "socketserver", "ssl", "telnetlib", "tensorflow_datasets",
    "tensorflow_hub", "torch.hub", "urllib", "urllib3", "wandb", "webbrowser", "websocket", "websockets",
    "wget", "xmlrpc", "zmq",
})
_SHELL_MODULES = frozenset({"commands", "fabric", "invoke", "pexpect", "plumbum", "pty", "sh", "subprocess"})
_PICKLE_MODULES = frozenset({
    "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "pickle", "pickle5", "shelve",
})
_DYNAMIC_MODULES = frozenset({"_ctypes", "cffi", "code", "codeop", "ctypes", "runpy"})
_NO_PATH_METHODS = frozenset({
    "endswith", "lstrip", "partition", "removesuffix", "replace", "rsplit", "rstrip", "split", "strip",
})
# fmt: on
_HARMLESS = frozenset({"urllib.parse", "http.HTTPStatus"})
_SHELL_CALLS = re.compile(
    r"(os|posix)\.(system|popen|exec[lv]p?e?|spawn[lv]p?e?|posix_spawnp?|fork|forkpty|kill|killpg|startfile)"
    r"|asyncio\.create_subprocess_\w+|shutil\.chown"
)
_NETWORK_CALLS = re.compile(
    r"(tensorflow\.)?keras\.utils\.get_file"
    r"|(tensorflow\.)?keras\.datasets\.\w+\.load_data"
    r"|torch\.hub\.\w+|torch\.utils\.model_zoo\.\w+"
    r"|asyncio\.(open_connection|start_server)"
    r"|sklearn\.datasets\.fetch_\w+|seaborn\.load_dataset|nltk\.download"
)
_DYNAMIC_CALLS = re.compile(
    r"builtins\.(eval|exec|compile|__import__)|tensorflow\.load_(op_)?library|torch\.ops\.load_library"
    r"|torch\.classes\.load_library"
)
_UNSAFE_LOADS = re.compile(
    r"pandas\.read_pickle|(tensorflow\.)?keras\.config\.enable_unsafe_deserialization|yaml\.(unsafe_load|full_load)"
)
_DYNAMIC_BUILTINS = frozenset({"eval", "exec", "compile", "__import__"})
_APPLICATION = re.compile(r"(?:tensorflow\.)?keras\.applications\.(?:\w+\.)*([A-Z]\w+)")
_TORCHVISION_MODEL = re.compile(r"torchvision\.models\.(?:\w+\.)*[a-z]\w+")
_HUB_METHODS = frozenset({"from_pretrained", "from_preset", "load_from_hub"})
_REMOTE = re.compile(r"(https?|ftp|s3|gs|hf|git)://", re.IGNORECASE)
_TEXT_ONLY_CALLS = frozenset(
    {"print", "ArgumentParser", "add_argument", "warn", "info", "debug", "warning", "error"}
)
_ABSOLUTE = re.compile(
    r"/(home|root|Users|content|kaggle|mnt|tmp|data|datasets?|var|usr|opt|etc|workspace|media|srv|drive|gdrive|dev|proc"
    r"|sys|run|app|bin|boot|lib|lib64|sbin|dbfs)(/|$)"
    r"|(/[\w.+-]+){2,}/?$|[A-Za-z]:[\\/]|\\\\\w|~[\w]*(/|$)"
)
_INVISIBLE = frozenset(
    chr(code)
    for span in ((0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F))
    for code in range(span[0], span[1] + 1)
) | {"\ufeff", "\u061c", "\u00ad", "\u180e"}


def character_findings(source: str) -> Iterator[Found]:
    """Yield lines with characters that show text in another order than it runs, or do not show at all."""
    for number, line in enumerate(source.split("\n"), 1):
        for char in sorted(set(line)):
            if (
                char in _INVISIBLE
                or 0xE0000 <= ord(char) <= 0xE007F
                or (ord(char) < 32 and char not in "\t\r\f")
            ):
                name = unicodedata.name(char, "a control character")
                yield number, "bidi", f"holds the invisible character U+{ord(char):04X} ({name})"


def hazard_findings(tree: ast.Module, aliases: Mapping[str, str]) -> Iterator[Found]:
    """Yield every hazard of a module, in no particular order."""
    texts = _texts_that_are_no_paths(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _module(alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield from _module(f"{node.module}.{alias.name}", node.lineno)
                yield from _imported_call(f"{node.module}.{alias.name}", node.lineno)
        elif isinstance(node, ast.Call):
            yield from _call(node, aliases)
        elif isinstance(node, ast.Constant) and id(node) not in texts and _is_fixed_path(node.value):
            path = f"{node.value!r:.80}"
            yield node.lineno, "absolute-path", f"fixed path {path}: take it from the configuration"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (dotted := dotted_name(node, aliases)):
            if dotted in {"pathlib.Path.home", "os.path.expanduser"}:
                yield node.lineno, "absolute-path", f"{dotted} leads into the home folder"
            elif _SHELL_CALLS.fullmatch(dotted):
                yield node.lineno, "shell", f"{dotted} starts or stops programs"


def _module(dotted: str, line: int) -> Iterator[Found]:
    if any(dotted == name or dotted.startswith(name + ".") for name in _HARMLESS):
        return
    parts = dotted.split(".")
    prefixes = {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
    if prefixes & _NETWORK_MODULES:
        yield line, "network", f"import of {dotted}: a project opens no network connection"
    if prefixes & _SHELL_MODULES:
        yield line, "shell", f"import of {dotted}: a project starts no other program"
    if prefixes & _PICKLE_MODULES:
        yield line, "pickle", f"import of {dotted}: loading such a file runs code from it"
    if prefixes & _DYNAMIC_MODULES:
        yield line, "dynamic-code", f"import of {dotted}: a project runs no code that is not in it"


def _imported_call(dotted: str, line: int) -> Iterator[Found]:
    for pattern, rule in ((_SHELL_CALLS, "shell"), (_NETWORK_CALLS, "network"), (_UNSAFE_LOADS, "pickle")):
        if pattern.fullmatch(dotted):
            yield line, rule, f"import of {dotted}"


def _call(node: ast.Call, aliases: Mapping[str, str]) -> Iterator[Found]:
    line, dotted = node.lineno, dotted_name(node.func, aliases) or ""
    keywords = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
    if isinstance(node.func, ast.Name) and node.func.id in _DYNAMIC_BUILTINS and node.func.id not in aliases:
        yield line, "dynamic-code", f"{node.func.id}() runs code that is not in the project"
    if _DYNAMIC_CALLS.fullmatch(dotted):
        yield line, "dynamic-code", f"{dotted} loads code that is not in the project"
    if dotted == "importlib.import_module" and not (node.args and isinstance(node.args[0], ast.Constant)):
        yield line, "dynamic-code", "importlib.import_module of a computed name"
    if _NETWORK_CALLS.fullmatch(dotted):
        yield line, "network", f"{dotted} downloads"
    yield from _pretrained(node, dotted, keywords)
    yield from _loading(line, dotted, keywords)
    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if called not in _TEXT_ONLY_CALLS and not called.endswith(("Error", "Exception")):
        for value in (*node.args, *keywords.values()):
            if (
                isinstance(value, ast.Constant)
                and isinstance(value.value, str)
                and _REMOTE.match(value.value)
            ):
                yield line, "network", f"address {value.value[:80]!r}"


def _pretrained(node: ast.Call, dotted: str, keywords: Mapping[str, ast.expr]) -> Iterator[Found]:
    """Find weights that the framework would download."""
    line, weights = node.lineno, keywords.get("weights")
    if match := _APPLICATION.fullmatch(dotted):
        positional = node.args[1] if len(node.args) > 1 else None
        weights = weights if weights is not None else positional
        if weights is None and not any(keyword.arg is None for keyword in node.keywords):
            yield (
                line,
                "network",
                f"{match.group(1)} without weights= downloads ImageNet weights: pass weights=None",
            )
    if _is_text(weights, "imagenet"):
        yield line, "network", "weights='imagenet' downloads: pass weights=None or a local file"
    if _is_true(keywords.get("download")) or _is_true(keywords.get("pretrained")):
        yield line, "network", "download=True and pretrained=True need the network"
    if _TORCHVISION_MODEL.fullmatch(dotted) and weights is not None and not _is_none(weights):
        yield line, "network", f"{dotted} downloads its weights: pass weights=None"
    if isinstance(node.func, ast.Attribute) and node.func.attr in _HUB_METHODS and node.args:
        name = node.args[0]
        if isinstance(name, ast.Constant) and isinstance(name.value, str) and not name.value.startswith("."):
            yield line, "network", f"{node.func.attr}({name.value[:60]!r}) downloads: give a local folder"


def _loading(line: int, dotted: str, keywords: Mapping[str, ast.expr]) -> Iterator[Found]:
    """Find loads that run code from the file they read."""
    if dotted in {"numpy.load", "numpy.lib.npyio.load"} and _may_be_true(keywords.get("allow_pickle")):
        yield line, "pickle", "numpy.load(allow_pickle=True) runs code from the file"
    if dotted == "torch.load" and not _is_true(keywords.get("weights_only")):
        yield line, "pickle", "torch.load without weights_only=True runs code from the file"
    if dotted.endswith("keras.models.load_model") and _is_false(keywords.get("safe_mode")):
        yield line, "pickle", "load_model(safe_mode=False) runs code from the file"
    if dotted == "yaml.load" and "Safe" not in ast.dump(keywords.get("Loader", ast.Constant(None))):
        yield line, "pickle", "yaml.load without SafeLoader runs code from the file"
    if _UNSAFE_LOADS.fullmatch(dotted):
        yield line, "pickle", f"{dotted} lets a file run code"


def _texts_that_are_no_paths(tree: ast.Module) -> set[int]:
    """Return the ids of constants that are docstrings or follow something in a joined text."""
    found: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            found.add(id(node.value))
        elif isinstance(node, ast.JoinedStr):
            found |= {id(part) for part in node.values[1:]}
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            found.add(id(node.right))
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in _NO_PATH_METHODS:
            found |= {id(argument) for argument in node.args}
    return found


def _is_fixed_path(value: object) -> bool:
    return isinstance(value, str) and "\n" not in value and _ABSOLUTE.match(value) is not None


def _is_text(node: ast.expr | None, text: str) -> bool:
    return isinstance(node, ast.Constant) and node.value == text


def _is_true(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def _is_false(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _may_be_true(node: ast.expr | None) -> bool:
    return node is not None and not _is_false(node)
