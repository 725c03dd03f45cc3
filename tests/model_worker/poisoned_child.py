"""The model's process with a native code that crashes over one word in a prompt."""

import ctypes

from dlcodegen_local.model_worker.child import OPERATIONS, complete, load_model, main


def crash_over_poison(llm, link, request):
    if "poison" in "".join(request["prompt"]):
        ctypes.string_at(0)
    return complete(llm, link, request)


if __name__ == "__main__":
    main(load_model, {**OPERATIONS, "complete": crash_over_poison})
