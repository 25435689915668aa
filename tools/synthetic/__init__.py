"""Parts of make_synthetic.py: shapes (what tensors a model has), dialects (how a file spells them), and writers."""
