"""How well it works: metrics, baselines, protocols and reports (docs/evaluation.md)."""
