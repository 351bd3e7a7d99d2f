"""Figures as matplotlib objects, for trackers, docs and files. The report draws its own, interactive ones.

figure = transition_heatmap(matrix, prior, title="GPT-4o-mini")
save(figure, Path("transition"))      # transition.svg and transition.png

Of a panel: `panel_worth`. Of curation: `transition_heatmap`, `transition_grid`, `score_flow`,
`confidence_histogram`, `long_tail_by_score`, `reliability`, `stability_curve`. Of a run:
`score_distribution`, `category_shares`, `learning_curve`.
"""

from __future__ import annotations

from ds2.report.figures.canvas import save, to_image
from ds2.report.figures.curation import confidence_histogram, long_tail_by_score
from ds2.report.figures.flow import score_flow
from ds2.report.figures.panel import panel_worth
from ds2.report.figures.run import category_shares, learning_curve, score_distribution
from ds2.report.figures.transition import transition_grid, transition_heatmap
from ds2.report.figures.trust import reliability, stability_curve

__all__ = [
    "category_shares",
    "confidence_histogram",
    "learning_curve",
    "long_tail_by_score",
    "panel_worth",
    "reliability",
    "save",
    "score_distribution",
    "score_flow",
    "stability_curve",
    "to_image",
    "transition_grid",
    "transition_heatmap",
]
