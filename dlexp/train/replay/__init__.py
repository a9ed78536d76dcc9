"""Any module as a stack: the lone step recorded, batched call by call, replayed."""
