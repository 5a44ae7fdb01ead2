"""Promotion: what settled becomes a pipeline that is read, tested and kept."""
