"""Retrieval: samples and the BM25 index over their plans."""
