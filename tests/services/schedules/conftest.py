from tests.cast import cluster, owner

__all__ = ["cluster", "owner"]
