"""The miniature experiment: a generated pool with planted true scores, and a base model pre-trained on the
spot.

Importing this package loads neither torch nor transformers; `ds2.mini.pretrain` does when it builds a model.
"""

from ds2.mini.pool import generate_pool, generate_questions

__all__ = ["generate_pool", "generate_questions"]
