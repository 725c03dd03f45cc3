"""Follow what nothing in a module calls: functions, and classes of models that nothing makes."""

import ast

from dlcodegen_local.plan.extraction_interpreter import Interpreter
from dlcodegen_local.plan.extraction_values import ClassValue, Function, Instance

_KINDS = ("model", "torch", "")


def follow_uncalled(interpreter: Interpreter) -> None:
    """Follow functions that nothing calls, then make objects of models that nothing makes.

    Those that no other part of the code names come first: they call the others with what these need.
    """
    functions = {
        name: value for name, value in interpreter.module.names.items() if isinstance(value, Function)
    }
    named = _named_elsewhere([value.node for value in interpreter.module.names.values() if _has_node(value)])
    for is_named in (False, True):
        for name, function in functions.items():
            if (name in named) is is_named and id(function.node) not in interpreter.called:
                interpreter.run_function(function, [], {})
    classes = [value for value in interpreter.module.names.values() if isinstance(value, ClassValue)]
    for kind in _KINDS:
        chosen = [cls for cls in classes if cls.kind == kind]
        outer = [cls for cls in chosen if cls.name not in named]
        if interpreter.trace.models:
            return
        for cls in (outer if kind == "torch" else chosen) or chosen:
            if kind == "torch" or not interpreter.trace.models:
                _follow_class(interpreter, cls)


def _has_node(value: object) -> bool:
    return isinstance(value, Function | ClassValue)


def _named_elsewhere(nodes: list[ast.AST]) -> set[str]:
    """Return the names that functions and classes use, each but its own."""
    named: set[str] = set()
    for node in nodes:
        used = {item.id for item in ast.walk(node) if isinstance(item, ast.Name)}
        named |= used - {getattr(node, "name", "")}
    return named


def _follow_class(interpreter: Interpreter, cls: ClassValue) -> None:
    """Make an object of a class, and call the methods of a plain one that its own code does not call."""
    made = interpreter.instantiate(cls, [], {})
    if not isinstance(made, Instance):
        return
    for method in list(cls.attributes.values()):
        if isinstance(method, Function) and id(method.node) not in interpreter.called:
            interpreter.run_function(Function(method.node, method.scope, made), [], {})
