"""The place under which ``dlexp.records.files`` is imported by the floors above."""

from dlexp.records.files import write_atomically

__all__ = ["write_atomically"]
