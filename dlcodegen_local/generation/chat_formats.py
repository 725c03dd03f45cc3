"""The prompt formats of the families of models in use, and which of them a model wants.

Guarantees that nothing of a model's file is run here: the literal markers in its template tell the family,
else its name or its architecture. A format can be written out as text and read again, so that one which
was learned from a template travels as a name does.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

EMPTY_THOUGHT = "<think>\n\n</think>\n\n"
_THINKING = {"+think": True, "+no-think": False}


@dataclass(frozen=True)
class ChatFormat:
    """Hold a family's prompt: literal text around `{system}` and `{user}`, and what ends an answer.

    `special` is False where the literals are plain text and no token of the vocabulary. Of a model that
    `thinks`, the answer begins with a thought, for which there must be room; `no_thought` is the text with
    which an answer skips it.
    """

    name: str
    layout: str
    stop: tuple[str, ...]
    special: bool = True
    thinks: bool = False
    no_thought: str = ""

    def to_text(self) -> str:
        """Write the format out, for `format_named`."""
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True)


_FORMATS = (
    ChatFormat("plain", "{system}\n\n{user}\n\n<answer>\n", ("</answer>", "<answer>"), special=False),
    ChatFormat(
        "chatml",
        "<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n",
        ("<|im_end|>", "<|im_start|>", "<|endoftext|>"),
    ),
    ChatFormat(
        "phi4",
        "<|im_start|>system<|im_sep|>{system}<|im_end|><|im_start|>user<|im_sep|>{user}<|im_end|>"
        "<|im_start|>assistant<|im_sep|>",
        ("<|im_end|>", "<|im_start|>", "<|endoftext|>"),
    ),
    ChatFormat(
        "llama3",
        "<|start_header_id|>system<|end_header_id|>\n\n{system}<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\n{user}<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
        ("<|eot_id|>", "<|eom_id|>", "<|end_of_text|>"),
    ),
    ChatFormat(
        "llama4",
        "<|header_start|>system<|header_end|>\n\n{system}<|eot|>"
        "<|header_start|>user<|header_end|>\n\n{user}<|eot|>"
        "<|header_start|>assistant<|header_end|>\n\n",
        ("<|eot|>", "<|eom|>", "<|end_of_text|>"),
    ),
    ChatFormat("llama2", "[INST] <<SYS>>\n{system}\n<</SYS>>\n\n{user} [/INST]", ("</s>", "[INST]")),
    ChatFormat(
        "codellama-70b",
        "Source: system\n\n {system} <step> Source: user\n\n {user} <step> Source: assistant\n"
        "Destination: user\n\n ",
        ("<step>", "</s>"),
    ),
    ChatFormat("mistral-v1", "[INST] {system}\n\n{user} [/INST]", ("</s>", "[INST]")),
    ChatFormat("mistral", "[INST] {system}\n\n{user}[/INST]", ("</s>", "[INST]")),
    ChatFormat("mistral-tekken", "[INST]{system}\n\n{user}[/INST]", ("</s>", "[INST]")),
    ChatFormat(
        "mistral-v7", "[SYSTEM_PROMPT]{system}[/SYSTEM_PROMPT][INST]{user}[/INST]", ("</s>", "[INST]")
    ),
    ChatFormat(
        "deepseek",
        "{system}\n\n<｜User｜>{user}<｜Assistant｜>",
        ("<｜end▁of▁sentence｜>", "<｜User｜>"),
    ),
    ChatFormat(
        "deepseek-v2",
        "{system}\n\nUser: {user}\n\nAssistant:",
        ("<｜end▁of▁sentence｜>", "\nUser:"),
    ),
    ChatFormat(
        "deepseek-coder",
        "{system}\n### Instruction:\n{user}\n### Response:\n",
        ("<|EOT|>", "### Instruction:"),
    ),
    ChatFormat(
        "gemma",
        "<start_of_turn>user\n{system}\n\n{user}<end_of_turn>\n<start_of_turn>model\n",
        ("<end_of_turn>", "<start_of_turn>"),
    ),
    ChatFormat(
        "phi3",
        "<|system|>\n{system}<|end|>\n<|user|>\n{user}<|end|>\n<|assistant|>\n",
        ("<|end|>", "<|endoftext|>", "<|user|>"),
    ),
    ChatFormat(
        "granite",
        "<|start_of_role|>system<|end_of_role|>{system}<|end_of_text|>\n"
        "<|start_of_role|>user<|end_of_role|>{user}<|end_of_text|>\n"
        "<|start_of_role|>assistant<|end_of_role|>",
        ("<|end_of_text|>", "<|start_of_role|>"),
    ),
    ChatFormat(
        "command-r",
        "<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>{system}<|END_OF_TURN_TOKEN|>"
        "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>{user}<|END_OF_TURN_TOKEN|>"
        "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
        ("<|END_OF_TURN_TOKEN|>", "<|START_OF_TURN_TOKEN|>"),
    ),
    ChatFormat(
        "command-r7b",
        "<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>{system}<|END_OF_TURN_TOKEN|>"
        "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>{user}<|END_OF_TURN_TOKEN|>"
        "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|><|START_RESPONSE|>",
        ("<|END_RESPONSE|>", "<|END_OF_TURN_TOKEN|>"),
    ),
    ChatFormat(
        "glm4",
        "[gMASK]<sop><|system|>\n{system}<|user|>\n{user}<|assistant|>\n",
        ("<|user|>", "<|endoftext|>", "<|observation|>"),
    ),
    ChatFormat(
        "exaone",
        "[|system|]{system}[|endofturn|]\n[|user|]{user}\n[|assistant|]",
        ("[|endofturn|]", "[|user|]"),
    ),
    ChatFormat(
        "harmony",
        "<|start|>system<|message|>Reasoning: low<|end|>"
        "<|start|>developer<|message|># Instructions\n\n{system}<|end|><|start|>user<|message|>{user}<|end|>"
        "<|start|>assistant<|channel|>final<|message|>",
        ("<|return|>", "<|end|>", "<|start|>"),
    ),
    ChatFormat(
        "openchat",
        "{system}<|end_of_turn|>GPT4 Correct User: {user}<|end_of_turn|>GPT4 Correct Assistant:",
        ("<|end_of_turn|>",),
    ),
    ChatFormat(
        "starcoder2",
        "{system}\n\n### Instruction\n{user}\n\n### Response\n",
        ("<|endoftext|>", "### Instruction"),
        special=False,
    ),
    ChatFormat(
        "alpaca",
        "{system}\n\n### Instruction:\n{user}\n\n### Response:\n",
        ("### Instruction:", "</s>"),
        special=False,
    ),
    ChatFormat(
        "magicoder",
        "{system}\n\n@@ Instruction\n{user}\n\n@@ Response\n",
        ("@@ Instruction", "</s>", "<|endoftext|>"),
        special=False,
    ),
    ChatFormat("vicuna", "{system}\n\nUSER: {user}\nASSISTANT:", ("\nUSER:", "</s>"), special=False),
)
CHAT_FORMATS: Mapping[str, ChatFormat] = {chat_format.name: chat_format for chat_format in _FORMATS}

# Ordered: the first family of which the template holds every marker.
_TEMPLATE_MARKERS = (
    (("<|im_start|>", "<|im_sep|>"), "phi4"),
    (("<|im_start|>",), "chatml"),
    (("<|start_header_id|>",), "llama3"),
    (("<|header_start|>",), "llama4"),
    (("<|start_of_role|>", "<|end_of_text|>"), "granite"),
    (("<start_of_turn>",), "gemma"),
    (("<｜Assistant｜>",), "deepseek"),
    (("<|channel|>", "<|message|>"), "harmony"),
    (("<|START_OF_TURN_TOKEN|>", "<|START_RESPONSE|>"), "command-r7b"),
    (("<|START_OF_TURN_TOKEN|>",), "command-r"),
    (("[gMASK]<sop>", "<|assistant|>"), "glm4"),
    (("[|assistant|]", "[|endofturn|]"), "exaone"),
    (("<|assistant|>", "<|user|>", "<|end|>"), "phi3"),
    (("GPT4 Correct", "<|end_of_turn|>"), "openchat"),
    (("### Instruction:", "<|EOT|>"), "deepseek-coder"),
    (("### Instruction:", "DeepSeek"), "deepseek-coder"),
    (("### Instruction:",), "alpaca"),
    (("### Instruction\\n", "### Response"), "starcoder2"),
    (("### Instruction\n", "### Response"), "starcoder2"),
    (("@@ Instruction", "@@ Response"), "magicoder"),
    (("Source: ", " <step> ", "Destination: "), "codellama-70b"),
    (("[SYSTEM_PROMPT]", "[INST]"), "mistral-v7"),
    (("[INST]", "<<SYS>>"), "llama2"),
    (('"[INST]"',), "mistral-tekken"),
    (("[INST]", " [/INST]"), "mistral-v1"),
    (("[INST]",), "mistral"),
    (("User: ", "Assistant:", "end▁of▁sentence"), "deepseek-v2"),
    (("User: ", "Assistant: ", "eos_token"), "deepseek-v2"),
    (("USER: ", "ASSISTANT:"), "vicuna"),
)
_NAMES = (
    (r"deepseek.?(?:coder)?.?v2(?!\.5)", "deepseek-v2"),
    (r"deepseek.?v(?:2\.5|3)", "deepseek"),
    (r"deepseek.?coder", "deepseek-coder"),
    (r"code.?llama.?70b", "codellama-70b"),
    (r"code.?llama|llama.?2", "llama2"),
    (r"llama.?3", "llama3"),
    (r"llama.?4", "llama4"),
    (r"qwen|smollm|hermes|\byi\b|yi.?coder|stable.?code|internlm", "chatml"),
    (r"gemma", "gemma"),
    (r"phi.?4(?!.?mini)", "phi4"),
    (r"phi.?[34]", "phi3"),
    (r"nemo|pixtral|ministral", "mistral-tekken"),
    (r"devstral|magistral|mistral.?small.?(?:24|3)", "mistral-v7"),
    (r"mistral|mixtral|codestral|mathstral", "mistral"),
    (r"granite", "granite"),
    (r"command.?r7b|command.?a", "command-r7b"),
    (r"command.?r", "command-r"),
    (r"gpt.?oss", "harmony"),
    (r"exaone", "exaone"),
    (r"glm", "glm4"),
    (r"openchat", "openchat"),
    (r"starcoder.?2", "starcoder2"),
    (r"magicoder", "magicoder"),
    (r"vicuna", "vicuna"),
    (r"alpaca|wizardcoder", "alpaca"),
)
_INSTRUCT = re.compile(r"instruct|chat|\bit\b|-it\b|assistant", re.IGNORECASE)
# Families that come tuned only, and architectures that name their family.
_ALWAYS_TUNED = re.compile(r"vicuna|alpaca|wizardcoder|magicoder|openchat|gpt.?oss|hermes", re.IGNORECASE)
_ARCHITECTURES = {
    "qwen2": "chatml",
    "qwen2moe": "chatml",
    "qwen3": "chatml",
    "qwen3moe": "chatml",
    "gemma": "gemma",
    "gemma2": "gemma",
    "gemma3": "gemma",
    "phi3": "phi3",
    "command-r": "command-r",
    "cohere2": "command-r7b",
    "granite": "granite",
    "granitemoe": "granite",
    "gpt-oss": "harmony",
    "deepseek2": "deepseek",
    "llama4": "llama4",
    "starcoder2": "starcoder2",
    "chatglm": "glm4",
    "exaone": "exaone",
}


def detect_family(metadata: Mapping[str, object]) -> str:
    """Name the format of a model from its GGUF metadata.

    The markers in its template decide; without a template, the name of an instruct model does, then its
    architecture; a base model, or a template of no known family, is `plain`. `+no-think` is added where
    the template can switch thoughts off, `+think` where it cannot.
    """
    template = template_of(metadata)
    for markers, family in _TEMPLATE_MARKERS:
        if all(marker in template for marker in markers):
            return family + _thinking_of(family, template)
    if template:
        return "plain"
    return _named_family(metadata) or "plain"


def template_of(metadata: Mapping[str, object]) -> str:
    """Return the text of a model's template, empty where it has none."""
    template = metadata.get("tokenizer.chat_template", "")
    return template if isinstance(template, str) else ""


def _named_family(metadata: Mapping[str, object]) -> str | None:
    name = " ".join(str(metadata.get(f"general.{key}", "")) for key in ("name", "basename", "finetune"))
    if not _INSTRUCT.search(name) and not _ALWAYS_TUNED.search(name):
        return None
    for pattern, family in _NAMES:
        if re.search(pattern, name, re.IGNORECASE):
            return family
    return _ARCHITECTURES.get(str(metadata.get("general.architecture", "")))


def _thinking_of(family: str, template: str) -> str:
    if "<think>" not in template or family in ("harmony", "granite", "mistral-v7"):
        return ""
    return "+no-think" if "enable_thinking" in template else "+think"


def format_named(name: str) -> ChatFormat:
    """Return a format by its name, or read one that was written out.

    Raises:
        KeyError: there is no such family.
    """
    if name.startswith("{"):
        fields = json.loads(name)
        return ChatFormat(**{**fields, "stop": tuple(fields["stop"])})
    for suffix, thinks in _THINKING.items():
        if name.endswith(suffix):
            family = CHAT_FORMATS[name.removesuffix(suffix)]
            if thinks:
                return replace(family, name=name, thinks=True, no_thought=EMPTY_THOUGHT)
            return replace(family, name=name, layout=family.layout + EMPTY_THOUGHT)
    return CHAT_FORMATS[name]


def completion_format(prefix: str, suffix: str, middle: str) -> ChatFormat:
    """Return the format of a base model that fills in the middle, from its three marker tokens.

    The request stands before a code block that is to be filled; what the model fills is the answer.
    """
    layout = f"{prefix}{{system}}\n\n{{user}}\n\n```python\n{suffix}\n```\n{middle}"
    return ChatFormat("fill-in-the-middle", layout, ("\n```", prefix, suffix, middle))
