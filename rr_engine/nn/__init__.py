"""Networks: what they see (`features`), what they are (`network`), how they are kept (`checkpoint`)."""
