"""Evaluation: lm-eval tasks and our own. `python -m eval SPEC.json`, or `eval.run.evaluate(spec)`."""
