"""The text of a plan, as it is indexed and as it is queried."""

from dlcodegen_local.plan.schema import Plan


def plan_text(plan: Plan) -> str:
    """Return all values of a plan, one a line, without its keys."""
    numbers = (plan.learning_rate, plan.batch_size, plan.epochs)
    fields = (plan.category, plan.dataset_input, plan.dataset_output, plan.preprocess, *plan.layers)
    fields += (plan.optimizer, plan.loss, plan.metric, *(str(n) for n in numbers if n is not None))
    return "\n".join(fields)
