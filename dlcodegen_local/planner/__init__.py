"""The planner: requirement to plan, by constrained beam search."""
